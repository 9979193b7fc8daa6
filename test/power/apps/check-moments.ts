/**
 * Whether the past of the applications reads, after a power cut, as it did before. In: what the witness knows, the cut, a reader of the past. Out: complaints.
 *
 * What the promise is stands in check-past.ts; that file knows every operation, this one only what was synced when. So, of a moment that had been read before the cut:
 * 1. A file reads bit for bit the same if it had been synced since, or had not changed since it was (`isSettled`). What was never promised may be lost,
 *    from the past as from the present.
 * 2. Where all that was done since has its history on the disk (`isCalm`), names, sizes and times are the same, too, if they had been synced.
 * 3. Otherwise, up to an interval too new: a file that grows may have a tail, files that come and go all the time (`comesAndGoes`) may have come or gone, and
 *    mtimes may be later. Other names and sizes are exact: what renames files that had been synced waits for the log.
 * 4. With exact history 3 does not hold: there is nothing to be excused.
 */
import type { PastReader, CheckedSnapshots } from '../check-snapshots.js';
import type { Cut } from '../journal.js';
import { Random } from '../../support/seed.js';
import type { Found, Tree } from '../trees.js';
import { directoryOf, isLogged, reachAt, workersOf } from '../witness.js';
import type { Witness } from '../witness.js';
import type { ApplicationWitness } from './application.js';
import { firstDifference, sumsOf } from './digests.js';
import type { Digest, MomentWitness } from './digests.js';

/** Moments compared after a cut: the newest, and some of the others. */
const newestCompared = 2;
const othersCompared = 2;

/** Names that an application makes and takes away without waiting, and files of it that grow by appends. */
const restless: Readonly<Record<ApplicationWitness['kind'], { readonly comesAndGoes: RegExp; readonly grows: RegExp }>> = {
  sqlite: { comesAndGoes: /-(wal|shm|journal)$/, grows: /./ },
  pages: { comesAndGoes: /(^|\/)new-segment$/, grows: /(^|\/)new-segment$/ },
  postgresql: { comesAndGoes: /./, grows: /./ },
};

interface Past {
  readonly witness: Witness;
  readonly application: ApplicationWitness;
  readonly moment: MomentWitness;
  readonly position: number;
  /** Nothing may be too new. */
  readonly isStrict: boolean;
}

export async function checkMoments(witness: Witness, cut: Cut, past: PastReader): Promise<CheckedSnapshots> {
  const complaints: string[] = [];
  let [compared, lost] = [0, 0];
  for (const moment of chooseMoments(witness, cut)) {
    const { txid, timeNs } = moment;
    if ((await past.timeOf(txid)) !== timeNs) {
      lost += 1;
      if (witness.isExact || isLogged(witness, moment.moment, cut.position)) complaints.push(`transaction ${txid} is not in the log, although it has to be`);
      continue;
    }
    for (const application of witness.applications) {
      compared += 1;
      const found = await past.ofTransaction(txid, application.directory);
      complaints.push(...treeFaults(witness, application, moment, cut.position, found));
    }
  }
  return { complaints, compared, lost };
}

function chooseMoments({ moments }: Witness, cut: Cut): MomentWitness[] {
  const random = new Random(cut.seed);
  const taken = moments.filter(({ at }) => at <= cut.position);
  const older = taken.slice(0, -newestCompared);
  const others = new Set(Array.from({ length: Math.min(othersCompared, older.length) }, () => random.pick(older)));
  return [...others, ...taken.slice(-newestCompared)];
}

function treeFaults(witness: Witness, application: ApplicationWitness, moment: MomentWitness, position: number, found: Tree): string[] {
  const isStrict = witness.isExact || isCalm(witness, application, moment, position);
  const past: Past = { witness, application, moment, position, isStrict };
  const then = moment.trees.get(application.directory);
  const complaints: string[] = [];
  for (const path of new Set([...(then?.keys() ?? []), ...found.keys()])) {
    const fault = faultOf(past, path, then?.get(path), found.get(path));
    if (fault !== undefined) complaints.push(`@txn-${moment.txid}/${application.directory}/${path} ${fault}`);
  }
  return complaints;
}

function faultOf(past: Past, path: string, then: Digest | undefined, found: Found | undefined): string | undefined {
  if (then === undefined || found === undefined) {
    const mayDiffer = !isSettledName(past, path, then) || (!past.isStrict && restless[past.application.kind].comesAndGoes.test(path));
    if (mayDiffer) return undefined;
    return found === undefined ? 'is gone' : 'was not there';
  }
  if (found.kind !== then.kind) return `is a ${found.kind}`;
  if (!isSettled(past, path, then)) return undefined;
  return (then.kind === 'file' ? bytesFault(past, path, then, found) : undefined) ?? attributesFault(past, then, found);
}

function bytesFault({ isStrict, application }: Past, path: string, then: Digest, { bytes }: Found): string | undefined {
  const mayBeLonger = !isStrict && restless[application.kind].grows.test(path);
  if (bytes.length < then.size || (bytes.length > then.size && !mayBeLonger)) return `is ${bytes.length} bytes long instead of ${then.size}`;
  const at = firstDifference(then.sums, sumsOf(bytes.subarray(0, then.size)));
  return at === undefined ? undefined : `differs in the piece from byte ${at}`;
}

/** fdatasync promises no times, so that only a sync of everything settles them. */
function attributesFault(past: Past, then: Digest, { attributes: { mode, mtimeNs } }: Found): string | undefined {
  if (!isSyncedWhole(past, past.moment)) return undefined;
  if (mode !== then.mode) return `has mode ${mode.toString(8)} instead of ${then.mode.toString(8)}`;
  const isRight = past.isStrict ? mtimeNs === then.mtimeNs : mtimeNs >= then.mtimeNs;
  return isRight ? undefined : `has mtime ${mtimeNs} instead of ${then.mtimeNs}`;
}

/** What the file was at the moment had been promised by the cut: a sync began when it was that already. */
function isSettled(past: Past, path: string, then: Digest): boolean {
  const { application, witness, moment, position } = past;
  const isSame = (digest: Digest | undefined): boolean => digest?.mtimeNs === then.mtimeNs && digest.size === then.size && firstDifference(digest.sums, then.sums) === undefined;
  if (isSame(application.initial.get(path))) return true;
  const earlier = witness.moments.findLast((other) => other.moment <= moment.moment && !isSame(other.trees.get(application.directory)?.get(path)));
  const first = witness.moments.find((other) => other.moment > (earlier?.moment ?? -1));
  const from = first?.moment ?? moment.moment;
  return isSyncedWhole(past, { moment: from }) || application.syncs.some((sync) => sync.path === path && sync.moment > from && sync.at <= position);
}

function isSettledName(past: Past, path: string, then: Digest | undefined): boolean {
  const { application, moment, position } = past;
  // It was there all the time: what goes for good does not come back under its name.
  if (then !== undefined && application.initial.has(path) && !restless[application.kind].comesAndGoes.test(path)) return true;
  const directory = directoryOf(path);
  return isSyncedWhole(past, moment) || application.syncs.some((sync) => sync.path === directory && sync.moment > moment.moment && sync.at <= position);
}

function isSyncedWhole({ witness, position }: Past, { moment }: { readonly moment: number }): boolean {
  return witness.fileSystemSyncs.some((sync) => sync.moment > moment && sync.at <= position);
}

/** Whatever the application did that may not be in the moment has its history on the disk. */
function isCalm(witness: Witness, application: ApplicationWitness, moment: MomentWitness, position: number): boolean {
  const workers = workersOf(witness);
  return application.writers.every((writer) => {
    const { begun, logged } = reachAt(witness, writer, position);
    return begun <= Math.max(logged, moment.done[workers.indexOf(writer)] ?? 0);
  });
}
