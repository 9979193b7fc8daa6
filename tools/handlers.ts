/**
 * What the daemon does for each control request: asks the volume and puts the answer into the words of protocol.ts.
 *
 * Invariants:
 * 1. Nothing here touches a path: the mount is served by this very process, which would wait for itself.
 * 2. A held transaction is released when its connection ends, at the latest.
 */
import { MomentError } from '../engine/errors.js';
import type { Txid } from '../engine/types.js';
import type { Volume } from '../engine/volume.js';
import type { Mounted } from '../fs/mount.js';
import { addon } from '../native/index.js';
import type { Alarms } from './alarms/alarms.js';
import type { Backups } from './backup/backups.js';
import { backupHandlers } from './backup/handlers.js';
import type { Connection, Handlers } from './control-server.js';
import type { PairDesk } from './pair/desk.js';
import type { RestartFacts, StatusReply } from './protocol.js';
import { reachOf } from './reach.js';
import type { RegistryEntry } from './registry.js';
import { momentOf, recoveryHandlers } from './recovery-handlers.js';
import { retentionHandlers } from './retention-handlers.js';
import { watchVersions } from './watch-versions.js';
import { changeItem, differenceItem, fromWire, pinItem, toWire, txidOf, wireStatus } from './wire.js';

/** What a running daemon has to offer. */
export interface Served {
  readonly volume: Volume;
  readonly mounted: Mounted;
  readonly entry: RegistryEntry;
  readonly driver: string;
  readonly alarms: Alarms;
  readonly backups: Backups;
  /** Of the daemons before this one. */
  readonly restarts: RestartFacts;
  /** Ends this daemon for one that is started with this program and the same options. */
  readonly handOver: (program: readonly string[]) => Promise<void>;
  readonly pair: PairDesk;
}

/** Younger than every transaction: the live tree. */
const liveView = BigInt(Number.MAX_SAFE_INTEGER - 1) as Txid;

export function createHandlers(served: Served): Handlers {
  const { volume, mounted } = served;
  return {
    status: () => statusOf(served),
    log: async (request, connection) => {
      await volume.settled();
      const query = { path: fromWire(request.path), ...bounds(volume, request.since, request.until), ...(request.limit === undefined ? {} : { limit: request.limit }) };
      for (const change of await volume.log(query)) await connection.emit(request.id, changeItem(change));
      return {};
    },
    moment: async (request) => {
      await volume.settled();
      return momentOf(volume, volume.parseMoment(request.text));
    },
    diff: async (request, connection) => {
      for (const difference of await volume.diff(fromWire(request.path), txidOf(request.from), txidOf(request.to))) {
        await connection.emit(request.id, differenceItem(difference));
      }
      return {};
    },
    trace: async (request) => {
      const entry = await volume.resolvePath(txidOf(request.at), fromWire(request.path));
      const path = entry === undefined ? undefined : volume.pathOf(txidOf(request.before), entry.file);
      return path === undefined ? {} : { path: toWire(path) };
    },
    deleted: async (request, connection) => {
      const directory = await volume.resolvePath(txidOf(request.at), fromWire(request.path));
      if (directory === undefined) return {};
      for (const entry of await volume.deletedEntries(txidOf(request.at), directory.file)) {
        await connection.emit(request.id, { name: toWire(entry.name), type: entry.type, ...momentOf(volume, entry.deletedAt) });
      }
      return {};
    },
    pins: async () => ({ pins: volume.pins().map(pinItem) }),
    pin: async (request) => {
      const last = await volume.settled();
      const txid = request.at === undefined ? last.txid : volume.parseMoment(request.at);
      await volume.pin(request.name, txid);
      return momentOf(volume, txid);
    },
    unpin: async (request) => {
      await volume.unpin(request.name);
      mounted.invalidateSnapshots();
      return {};
    },
    verify: async (request, connection) => {
      const unwanted = new AbortController();
      connection.onClose(() => { unwanted.abort(); });
      // Progress may be lost, but the checking must not wait for it.
      const onProgress = (done: number, total: number): void => void connection.emit(request.id, { done, total });
      return volume.verify({ depth: request.depth ?? 'log', onProgress, signal: unwanted.signal });
    },
    ...retentionHandlers(served),
    ...recoveryHandlers(volume),
    hidden: async (request, connection) => {
      const top = request.path === '/' ? '' : request.path;
      for (const file of volume.floors.hiddenAt(Number(request.at))) {
        for (const path of [volume.pathOf(txidOf(request.at), file), volume.pathOf(liveView, file)]) {
          const text = path === undefined ? undefined : toWire(path);
          if (text?.startsWith(`${top}/`) === true) await connection.emit(request.id, { path: text });
        }
      }
      return {};
    },
    ...holdHandlers(served),
    ...alarmHandlers(served.alarms),
    ...backupHandlers(volume, served.backups),
    watch: async (request, connection) => {
      await watchVersions(volume, connection, (item) => connection.emit(request.id, item));
      return {};
    },
    upgrade: async (request) => {
      await served.handOver(request.program);
      return {};
    },
    pair: (request) => served.pair.act(request.action),
    unmount: async () => {
      await unmountServed(served);
      return {};
    },
  };
}

function alarmHandlers(alarms: Alarms): Pick<Handlers, 'alarms' | 'alarms-change' | 'alarms-test' | 'alarms-acknowledge' | 'alarms-release' | 'alarms-digest'> {
  return {
    alarms: async () => alarms.show(),
    'alarms-change': (request) => alarms.change(request.change),
    'alarms-test': async () => ({ results: await alarms.test() }),
    'alarms-acknowledge': async () => ({ count: alarms.acknowledge() }),
    'alarms-release': async () => ({ count: alarms.release() }),
    'alarms-digest': async () => ({ sinks: await alarms.digest() }),
  };
}

/** `hold` and `release`: one transaction for everything that happens between them. */
function holdHandlers({ volume, alarms }: Served): Pick<Handlers, 'hold' | 'release'> {
  const holders = new Set<Connection>();
  const nobody = { uid: 0, gid: 0, pid: 0 };
  return {
    hold: async (request, connection) => {
      const before = await volume.settled();
      if (!holders.has(connection)) {
        holders.add(connection);
        volume.native.holdTransaction();
        if (request.pid !== undefined) connection.onClose(alarms.exempt(request.pid));
        connection.onClose(() => {
          if (holders.delete(connection)) volume.native.releaseTransaction(nobody, 'tidemark');
        });
      }
      return { txid: String(before.txid), timeNs: String(before.timeNs), exclude: [...volume.excludes] };
    },
    release: async (request, connection) => {
      if (holders.delete(connection)) volume.native.releaseTransaction({ uid: request.uid, gid: request.gid, pid: request.pid }, request.command);
      const last = await volume.settled();
      return { txid: String(last.txid), timeNs: String(last.timeNs) };
    },
  };
}

/** Backups read through the mount: they end first, and go on if it stays. Throws what unmounting throws. */
export async function unmountServed({ mounted, backups, pair }: Pick<Served, 'mounted' | 'backups' | 'pair'>): Promise<void> {
  await backups.stop();
  try {
    await pair.around(() => mounted.unmount());
  } catch (error) {
    backups.goOn();
    throw error;
  }
}

/** How a mounted volume stands; also what the metrics are made of. */
export async function statusOf(served: Served): Promise<StatusReply> {
  const { volume, mounted, entry } = served;
  const { protocol, features, isKept, knownInodes, openHandles, operations } = mounted.state();
  const facts = await wireStatus(volume);
  return {
    pid: process.pid,
    directory: entry.directory,
    mountpoint: entry.mountpoint,
    log: entry.log,
    ...facts,
    ...reachOf(volume, served.alarms.measured(), Number(facts.historyBytes)),
    driver: served.driver,
    protocol,
    features,
    knownInodes,
    openHandles,
    operations,
    notices: volume.notices,
    backups: served.backups.list(),
    isKept,
    keptLayout: addon.keptLayout,
    restarts: served.restarts,
    ...served.alarms.facts(),
  };
}

/** `since` is exclusive (what changed after that moment), `until` inclusive. Moments outside the history bound nothing. */
function bounds(volume: Volume, since: string | undefined, until: string | undefined): { sinceNs?: bigint; untilNs?: bigint } {
  const from = since === undefined ? undefined : momentTime(volume, since, 'too-old');
  const to = until === undefined ? undefined : momentTime(volume, until, 'future');
  return { ...(from === undefined ? {} : { sinceNs: from + 1n }), ...(to === undefined ? {} : { untilNs: to }) };
}

/** When the snapshot that a moment means was taken; undefined when the moment lies outside on the side that bounds nothing. */
function momentTime(volume: Volume, text: string, harmless: 'too-old' | 'future'): bigint | undefined {
  try {
    return BigInt(momentOf(volume, volume.parseMoment(text)).timeNs);
  } catch (error) {
    if (error instanceof MomentError && error.fault === harmless) return undefined;
    throw error;
  }
}
