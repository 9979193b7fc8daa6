/**
 * The seam between a volume and whatever makes the operating system show it. In: an open volume and where to show it. Out: a running mount, as the addon's own
 * Session describes one. Everything a mount shows below `.snapshots` comes through `onSnapshotRequest`, whichever driver asks.
 *
 * Invariants:
 * 1. A driver decides nothing about history: the live tree goes through the volume's capture, the past through the requests.
 */
import type { ExternalSearch } from '../../engine/external-search.js';
import type { MountOptions, NativeVolume, Session } from '../../native/types.js';
import type { SnapshotHistory } from '../request-parts.js';

/** What can be mounted: a history with the opened store below it. The engine's Volume is one. */
export interface MountableVolume extends SnapshotHistory {
  readonly native: NativeVolume;
  /** Globs of names that get no history. */
  readonly excludes?: readonly string[];
  /** Records what changed past the mount. */
  readonly external?: Pick<ExternalSearch, 'recordNow'>;
}

/** Where and how to mount, whatever the driver. */
export type DriverOptions = MountOptions;

export interface Driver {
  /** The name users give on the command line. */
  readonly name: string;
  /** Other users than the one who mounts may enter. */
  readonly letsOthersIn: boolean;
  /** What changes the backing directory past the mount is looked for, where that is in sight. */
  readonly watchesBacking: boolean;
  /** Loads what the driver needs, before anything is opened. Throws an Error with code "EUNSUPPORTED" when it cannot be used here. */
  prepare(): void;
  /**
   * Mounts. The promise settles once the mount answers; requests may come before. Rejects with an Error whose `code` is an errno name or "EUNSUPPORTED".
   */
  mount(volume: MountableVolume, options: DriverOptions): Promise<Session>;
}
