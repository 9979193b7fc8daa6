/**
 * Power cuts under applications: SQLite with each kind of journal, a database that syncs its files as PostgreSQL does, and editors in all their ways of saving. After
 * each cut and recovery they find what they had been promised, by their own rules (apps/check-…), no transaction is half there, and the moments whose
 * every file had been read before the cut read bit for bit the same (apps/check-moments.ts). TIDEMARK_CUTS asks for more cuts; `npm run soak -- 60 apps` makes
 * thousands, and takes PostgreSQL itself.
 *
 * For each of them broken orders are found out: a disk that ignored its last flushes, a recovery that writes nothing again, another past, a history that does not wait.
 */
import t from 'tap';
import type { Test } from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { chooseSeed } from '../support/seed.js';
import type { Random } from '../support/seed.js';
import { cutApplications, cutApplicationsQuickly, withApplications } from './apps/app-round.js';
import type { Working } from './apps/app-round.js';
import { chooseCuts, told } from './cuts.js';
import type { CutResult } from './cuts.js';
import { cutRecoveryQuickly } from './intent-round.js';
import { readEntries } from './journal.js';
import { examineCutsQuickly, quickSummary } from './quick-cuts.js';
import type { QuickOptions, QuickResult } from './quick-cuts.js';
import type { Recording } from './recording.js';

t.jobs = 3;

const seed = chooseSeed();
const skip = isRoot ? await unlessInstalled('mkfs.ext4', 'losetup', 'gcc', 'sqlite3') : 'needs root';
const quickCount = Number(process.env['TIDEMARK_CUTS'] ?? 180);
const fullCount = 1;
/** A broken order is found within so many cuts, asked for in batches. */
const mostBroken = 60;
const batch = 6;
const mostRecordings = 4;

t.setTimeout(300_000 + quickCount * 500);

interface Broken {
  readonly what: string;
  readonly options: QuickOptions;
  readonly complaint: RegExp;
}

/** What the checks of the workload itself have to say, not those of the file system or of `verify`. */
const promiseBroken = /^(sqlite|pages|lane-)\S* .*(integrity_check|sqlite3 ended|instead of|nowhere as it was saved|not what was saved|differs at byte|is gone)/m;
const pastBroken = /^@txn-\d+\/(sqlite|pages|lane-)\S* (differs|is \d+ bytes)/m;
const ignoredFlushes: Broken = { what: 'a disk that ignored its last flushes', options: { disk: { flushesIgnored: 4 } }, complaint: promiseBroken };
const nothingReplayed: Broken = { what: 'a recovery that writes nothing again', options: { forgery: 'same-mount' }, complaint: promiseBroken };
const otherPast: Broken = { what: 'another past', options: { forgery: 'other-past' }, complaint: pastBroken };

const workloads: readonly { readonly working: Working; readonly steps: number; readonly broken: readonly Broken[] }[] = [
  { working: 'sqlite', steps: 20, broken: [ignoredFlushes, nothingReplayed, otherPast] },
  { working: 'pages', steps: 25, broken: [ignoredFlushes, nothingReplayed, otherPast] },
  { working: 'editors', steps: 25, broken: [ignoredFlushes, otherPast] },
];

function allIsWell(t: Test, results: readonly (CutResult | QuickResult)[]): void {
  t.strictSame(results.filter(({ complaints }) => complaints.length > 0).map((result) => [told(result), ...result.complaints]), []);
}

/** Which cut and what it complained of. */
async function find(recording: Recording, { options, complaint }: Broken, random: Random): Promise<string | undefined> {
  for (let examined = 0; examined < mostBroken; examined += batch) {
    const results = await examineCutsQuickly(recording, chooseCuts(recording, readEntries(recording.journal), batch, random), options);
    const found = results.findIndex(({ complaints }) => complaint.test(complaints.join('\n')));
    if (found >= 0) return `cut ${examined + found + 1}: ${results[found]?.complaints.find((text) => complaint.test(text))}`;
  }
  return undefined;
}

async function isFound(t: Test, recording: Recording, broken: Broken, random: Random): Promise<void> {
  const found = await find(recording, broken, random);
  t.ok(found !== undefined, found === undefined ? `${broken.what} is not found out at ${mostBroken} cuts` : `${broken.what} is found out at ${found}`);
}

for (const { working, steps, broken } of workloads) {
  void t.test(`what ${working} were promised, and every moment that was read, outlives a power cut`, { skip }, async (t) => {
    t.comment(`TIDEMARK_SEED=${seed}`);
    await withApplications(t, [working], { seed, steps }, async (recording, random) => {
      const quickly = await cutApplicationsQuickly(recording, Math.ceil(quickCount / workloads.length), random);
      t.comment(quickSummary(quickly));
      allIsWell(t, quickly);
      t.ok(quickly.some(({ snapshotsCompared }) => snapshotsCompared > 0), 'moments are compared');
      allIsWell(t, await cutRecoveryQuickly(t, recording, 4, random));
      allIsWell(t, await cutApplications(t, recording, fullCount, random));
      for (const each of broken) await isFound(t, recording, each, random);
    });
  });
}

void t.test('a history that does not wait for the disk is found out by each of them', { skip }, async (t) => {
  t.comment(`TIDEMARK_SEED=${seed}`);
  const unfound = new Set(['sqlite', 'pages', 'lane-']);
  // A machine that is busy may record hardly a moment that such a history loses; another recording has others.
  for (let recorded = 0; unfound.size > 0 && recorded < mostRecordings; recorded += 1) {
    const options = { seed: seed + recorded, steps: 15, arguments: ['--history=relaxed'] };
    await withApplications(t, workloads.map(({ working }) => working), options, async (recording, random) => {
      for (const name of unfound) {
        const complaint = new RegExp(`^@txn-\\d+/${name}\\S* (differs|is \\d+ bytes)`, 'm');
        const found = await find(recording, { what: name, options: { pastIn: 1 }, complaint }, random);
        if (found === undefined) continue;
        unfound.delete(name);
        t.pass(`relaxed history of ${name} is found out at ${found}`);
      }
    });
  }
  t.strictSame([...unfound], [], `each is found out within ${mostRecordings} recordings`);
});
