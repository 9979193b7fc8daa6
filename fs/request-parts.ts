/**
 * What the requests below `.snapshots` (requests.ts) need of others.
 */
import type { NativeVolume, Session } from '../native/types.js';
import type { Excludes } from '../engine/excludes.js';
import type { History } from '../engine/ports.js';
import type { Owner } from './snapshots-dir.js';

/** What the requests need of the engine. */
export type SnapshotHistory = Pick<History,
  | 'rootId' | 'caughtUp' | 'settled' | 'lookup' | 'list' | 'attributes' | 'readLink' | 'xattrs' | 'plan' | 'resolvePath' | 'pathOf' | 'pathHint'
  | 'transaction' | 'parseMoment' | 'snapshotNames' | 'oldestNs' | 'pins' | 'bin'>;

/** What the requests need of the addon. */
export type SnapshotNative = Pick<NativeVolume, 'logState' | 'access' | 'stat' | 'xattrs' | 'lookup' | 'isObject'>;

/** What the requests need of a mount. */
export type SnapshotReplies = Pick<Session, 'replyError' | 'replyNode' | 'replyData' | 'replyListing' | 'replyPlan' | 'invalidateSnapshots' | 'openSnapshotNodes'>;

export interface SnapshotRequestOptions {
  /** 'then': the permission of then is enough. */
  readonly access: 'then-and-now' | 'then';
  readonly owner: Owner;
  readonly excludes: Excludes;
  /** Takes one line about a fault. */
  readonly log: (line: string) => void;
}
