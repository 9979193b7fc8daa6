/**
 * Records a workload on a protected directory: what the disk was told, and what the applications were promised. In: how much is to be done.
 * Out: base image, journal, witness.
 *
 * Invariants:
 * 1. The workload runs in this process, the daemon in another.
 * 2. Cuts may lie anywhere behind `start`: before Tidemark was first mounted, while it works, is unmounted, and works again.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compile } from '../support/compile.js';
import type { Mount, MountOptions } from '../support/mount.js';
import { withMount } from '../support/mount.js';
import { Random } from '../support/seed.js';
import { Moments } from '../model/moments.js';
import type { Application } from './apps/application.js';
import { prepareApplication, syncFileSystem, watchApplications } from './apps/watching.js';
import { LaneWork } from './lane.js';
import { RecordingDisk } from './recording-disk.js';
import type { FileSystem } from './recording-disk.js';
import type { Surroundings } from './surroundings.js';
import { workersOf } from './witness.js';
import type { LaneWitness, NameState, Node, Witness } from './witness.js';

export interface RecordingOptions {
  readonly seed: number;
  readonly lanes: number;
  /** Mounts in a row, with a clean unmount between two. */
  readonly sessions: number;
  /** What one lane does in one session. */
  readonly work: (lane: LaneWork, random: Random) => Promise<void>;
  /** What goes on beside the lanes, in files that none of them looks at. `root`: of the mount; `position`: the journal's length. */
  readonly beside?: (root: string, position: () => number) => Promise<void>;
  /** Work beside the lanes, or instead of them, and are asked for after each cut; default none. */
  readonly applications?: readonly Application[];
  /** As in Surroundings; default 3. Infinity: nor are any bytes written between operations. */
  readonly writesBackIn?: number;
  /** Below the protected directory; default ext4. */
  readonly fileSystem?: FileSystem;
  /** Of `tidemark mount`. */
  readonly arguments?: readonly string[];
  /** As in Witness; default: what the arguments ask for. */
  readonly isExact?: boolean;
}

export interface Recording {
  readonly witness: Witness;
  readonly base: string;
  readonly journal: string;
  /** A directory in memory. */
  readonly memory: string;
  /** The journal's length when what is there from the beginning was on the disk. */
  readonly start: number;
}

/** Of `tidemark mount`: every change waits for the log. */
export const exactHistory = '--history=exact';

/** What every lane has from before Tidemark, by size. */
const preparedFiles = new Map([['a', 5000], ['b', 100_000], ['old', 20_000], ['sub/a', 4096], ['sub/old', 300], ['sub/still', 700]]);

/** Records, then runs the body while everything is there. `t` hears what the daemon said when something throws. */
export async function withRecording(t: { comment(...words: unknown[]): void }, options: RecordingOptions, body: (recording: Recording) => Promise<void>): Promise<void> {
  const random = new Random(options.seed);
  const { applications = [] } = options;
  const isExact = options.isExact ?? options.arguments?.includes(exactHistory) === true;
  const witness: Witness = { lanes: [], applications: applications.map((each) => each.witness), moments: [], fileSystemSyncs: [], logSyncs: [], writeBacks: [], isExact, moment: 0 };
  let disk: RecordingDisk | undefined;
  const prepare = async (directory: string): Promise<void> => {
    disk = new RecordingDisk(directory, options.fileSystem);
    await disk.start();
    await compile(['test/power/punch.c'], join(dirname(directory), 'punch'));
    for (let index = 0; index < options.lanes; index += 1) witness.lanes.push(prepareLane(directory, `lane-${index}`, random));
    for (const application of applications) await prepareApplication(directory, application);
    await disk.syncAll();
    const at = disk.position();
    for (const worker of workersOf(witness)) worker.operations.push({ what: 'prepared', endedAt: at });
  };
  const mountOptions: MountOptions = { prepare, ...(options.arguments === undefined ? {} : { arguments: options.arguments }) };
  await withMount(t, mountOptions, async (mount) => {
    if (disk === undefined) throw new Error('the disk was prepared');
    for (let session = 0; session < options.sessions; session += 1) {
      if (session > 0) await mount.mount();
      await workOnce(mount, disk, witness, options, random);
      await mount.unmount();
    }
    const { base, journal, memory } = disk;
    await disk.stop();
    await body({ witness, base, journal, memory, start: workersOf(witness)[0]?.operations[0]?.endedAt ?? 0 });
  });
}

async function workOnce(mount: Mount, disk: RecordingDisk, witness: Witness, options: RecordingOptions, random: Random): Promise<void> {
  const moments = await Moments.connect(mount);
  try {
    const around: Surroundings = {
      witness, punchProgram: join(mount.place, 'punch'), writesBackIn: options.writesBackIn ?? 3,
      position: () => disk.position(), writeBack: (path: string) => disk.writeBack(path), lastTransaction: () => moments.last(),
    };
    const working = witness.lanes.map((lane) => {
      const own = new Random(random.below(2 ** 32));
      return options.work(new LaneWork(around, lane, mount.path(lane.directory), own), own);
    });
    const { applications = [], beside } = options;
    const serving = applications.map((application) => application.work(mount.path(application.witness.directory), around));
    const all = Promise.allSettled([...working, ...serving, beside?.(mount.mountpoint, around.position)]);
    if (applications.length > 0) await watchApplications(mount, disk, around, new Random(random.below(2 ** 32)), all);
    else if (around.writesBackIn < Infinity) await writeBackBytes(disk, witness, new Random(random.below(2 ** 32)), all);
    const failed = (await all).find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } finally {
    moments.close();
  }
  await syncFileSystem(disk, witness);
}

/** The kernel may write any page to the disk at any time: here it does, much sooner than by itself, past the mount. */
async function writeBackBytes(disk: RecordingDisk, witness: Witness, random: Random, until: Promise<unknown>): Promise<void> {
  let isOver = false;
  void until.then(() => (isOver = true));
  while (!isOver) {
    const lane = random.pick(witness.lanes);
    await disk.writeBackBytes(join(lane.directory, random.pick([...lane.names.keys()])));
    await sleep(random.below(4));
  }
}

function prepareLane(root: string, directory: string, random: Random): LaneWitness {
  mkdirSync(join(root, directory, 'sub'), { recursive: true });
  const nodes: Node[] = [{ id: 0, kind: 'directory', versions: [], syncs: [] }];
  const names = new Map([['sub', [{ op: 0, node: 0, waited: false } as NameState]]]);
  for (const [path, size] of preparedFiles) {
    const bytes = Buffer.from(Uint8Array.from({ length: size }, () => random.below(256)));
    writeFileSync(join(root, directory, path), bytes, { mode: 0o644 });
    names.set(path, [{ op: 0, node: nodes.length, waited: false }]);
    nodes.push({ id: nodes.length, kind: 'file', versions: [{ op: 0, bytes, mode: 0o644, waited: false }], syncs: [{ op: 0, isFull: true }] });
  }
  const directorySyncs = new Map(['', 'sub'].map((path) => [path, [{ op: 0, isFull: true }]]));
  return { directory, operations: [], nodes, names, directorySyncs, snapshots: [] };
}
