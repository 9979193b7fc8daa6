/**
 * One run of a backup to a bucket. In: the snapshot, what history says has changed. Out: a new root, or a fault and the old one.
 *
 * 1. What the bucket has is looked up (base.ts), and what differs from it (examine.ts).
 * 2. Bytes that are new go into packs, then the lists of the new root.
 * 3. The root that is replaced is kept under its time, and the new one takes its place if it is still the one that was read.
 * 4. Earlier roots are thinned by the ladder (thin.ts).
 *
 * Invariants:
 * 1. Until 3 nothing names what was sent; what the old root names is whole all the while.
 * 2. Ended anywhere, the next run to the same snapshot makes the same packs, and sends of them what has not arrived.
 * 3. Of two that run at once one finds at 3 that the other was there, and changes nothing.
 */
import { openBoundBucket } from './binding.js';
import { DestinationError } from '../destination.js';
import { encodeEntry } from '../entry.js';
import { examine } from '../examine.js';
import type { Examined } from '../examine.js';
import { failpoint } from '../failpoint.js';
import { lineFile, LineFile } from '../line-file.js';
import type { ManifestHeader } from '../layout.js';
import { Pace } from '../pace.js';
import type { S3Place } from '../place.js';
import { Progress } from '../progress.js';
import type { RunOptions, RunResult } from '../run.js';
import { SnapshotTree } from '../snapshot-tree.js';
import { headerOf } from '../stage.js';
import { timeNsOf } from '../view.js';
import { Base } from './base.js';
import { earlierKey, encodeRoot, headKey } from './layout.js';
import type { Root } from './layout.js';
import { packList, packsOf, writePackList } from './lists.js';
import type { S3Objects } from './objects.js';
import { Packer } from './packer.js';
import { PackSender } from './packs.js';
import { sendFiles } from './send-files.js';
import type { SentFile } from './send-files.js';
import { thinRoots } from './thin.js';

type BucketRun = RunOptions<S3Place>;

/** Throws DestinationError, or what reading the snapshot throws. */
export async function runToBucket(options: BucketRun): Promise<RunResult> {
  const progress = new Progress(options.onReport);
  progress.phase('connecting');
  const objects = await openBoundBucket(options.place, options.owner);
  try {
    return await runOn(objects, options, progress);
  } finally {
    progress.end();
    objects.close();
  }
}

async function runOn(objects: S3Objects, options: BucketRun, progress: Progress): Promise<RunResult> {
  const base = await Base.find(objects, options);
  const { manifest, notes } = base;
  if (manifest?.header.txid === options.txid && options.again.length === 0 && !base.isDoubtful) {
    const thinned = await thinRoots(objects, base.root!, options.ladder);
    return resultOf(manifest.header, { sentFiles: 0, sentBytes: 0, removed: 0, notes: [...notes, ...thinned], failures: [] });
  }
  progress.phase('comparing');
  const changes = manifest === undefined || base.isDoubtful ? undefined : await options.changesSince(manifest.header.txid);
  const tree = new SnapshotTree(options.root, options.filter);
  const examined = examine({ tree, base: manifest, changes, again: new Set([...options.again, ...base.missing]) });
  const pace = new Pace(options.bytesPerSecond);
  const sender = new PackSender(objects, base.doubted, { onBytes: (count) => pace.spend(count) });
  const sent = examined.filter(({ after, isWritten }) => after?.type === 'file' && isWritten).map(({ after }) => after!);
  progress.phase('sending', sent.length, sent.reduce((sum, { size }) => sum + size, 0));
  const packer = new Packer(sender, sent.length === 0 ? new Map() : base.known('files'));
  const results = await sendFiles(sent, options.root, packer, progress);
  await packer.flush();
  const settled = settle(examined, results);
  const header = headerOf(options, 'bytes', manifest, settled);
  progress.phase('switching');
  const root = await packLists(header, settled, base, sender, options);
  await publish(objects, root, base);
  options.local.rename('next', 'manifest');
  progress.phase('thinning');
  notes.push(...await thinRoots(objects, root, options.ladder));
  const failures = [...results].flatMap(([path, one]) => ('failure' in one ? [{ path, reason: one.failure }] : []));
  return resultOf(header, { sentFiles: sent.length - failures.length, sentBytes: packer.packedBytes, removed: settled.filter(({ after }) => after === undefined).length, notes, failures });
}

/** What was sent gets its pieces, what only moved keeps them; what could not be read stays as it was. */
function settle(examined: readonly Examined[], results: ReadonlyMap<string, SentFile | { readonly failure: string }>): Examined[] {
  return examined.flatMap((one): Examined[] => {
    const { path, before, after, movedFrom } = one;
    if (after?.type !== 'file') return [one];
    const sent = results.get(path);
    if (sent !== undefined && 'failure' in sent) return [];
    const { sha256, pieces } = sent ?? movedFrom ?? before ?? {};
    return [{ ...one, after: { ...after, ...(sha256 === undefined ? {} : { sha256 }), ...(pieces === undefined || pieces.length === 0 ? {} : { pieces }) } }];
  });
}

/** The copy that stays here is whole before anything names it. */
async function packLists(header: ManifestHeader, settled: readonly Examined[], base: Base, sender: PackSender, { local }: BucketRun): Promise<Root> {
  const lines = new Map(settled.map(({ path, after }) => [path, after === undefined ? undefined : encodeEntry(after)]));
  const bytes = Buffer.concat([...lineFile(header, base.manifest, lines)]);
  local.keep('next', bytes);
  const manifest = new LineFile<ManifestHeader>(bytes, 'the new manifest');
  const packer = new Packer(sender, base.known('lists'));
  const entries = await packList(bytes, packer);
  const packs = await packList(writePackList(packsOf(manifest)), packer);
  await packer.flush();
  return { header, sha256: manifest.sha256, entries, packs };
}

async function publish(objects: S3Objects, root: Root, { head }: Base): Promise<void> {
  // One that is sent again for the same snapshot is not an earlier one.
  if (head?.root !== undefined && head.root.header.txid !== root.header.txid) await objects.put(earlierKey(timeNsOf(head.root.header.time)), head.bytes, 'absent');
  failpoint();
  const tag = await objects.put(headKey, encodeRoot(root), head === undefined ? 'absent' : { tag: head.tag });
  if (tag === undefined) throw new DestinationError('foreign', `somebody else has written a backup of this name to ${objects.shown} meanwhile; theirs was left as it is: let one machine alone send there`);
  failpoint();
}

function resultOf({ txid, files, bytes }: ManifestHeader, rest: Omit<RunResult, 'txid' | 'files' | 'bytes' | 'missing'>): RunResult {
  return { txid, files, bytes, missing: [], ...rest };
}
