/**
 * Small fdatasyncs are answered from the log alone (native/src/intents.h): the power is cut while databases, so to say, commit to files that they hold open,
 * change their size, holes and names in between, or sync them in other ways. What was synced is there, out of the log where it has to be; every snapshot reads
 * as before. A thousand cuts are examined quickly (quick-cut.ts: what fsync promised, and some of the past), some with all that cut.ts looks at; TIDEMARK_CUTS
 * asks for more.
 *
 * The same cuts with a recovery that is deceived (forgery.ts) show that the quick examination finds bytes that were lost or came back.
 */
import t from 'tap';
import type { Test } from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { chooseSeed } from '../support/seed.js';
import type { Random } from '../support/seed.js';
import { chooseCuts, examineCuts, keepImage, told } from './cuts.js';
import type { Forgery } from './forgery.js';
import { cutQuickly, cutRecoveryQuickly, withCommits, withRolls } from './intent-round.js';
import { readEntries } from './journal.js';
import { examineCutsQuickly, quickSummary } from './quick-cuts.js';
import type { QuickResult } from './quick-cuts.js';
import type { Recording } from './recording.js';

const seed = chooseSeed();
const skip = isRoot ? await unlessInstalled('mkfs.ext4', 'losetup', 'gcc') : 'needs root';
const fullCount = 12;
const quickCount = Number(process.env['TIDEMARK_CUTS'] ?? 1000);
const forgedCount = 20;
const leastForged = 5;

t.setTimeout(300_000 + quickCount * 500);

function allIsWell(t: Test, results: readonly QuickResult[]): void {
  t.comment(quickSummary(results));
  t.strictSame(results.filter(({ complaints }) => complaints.length > 0).map((result) => [told(result), ...result.complaints]), []);
}

/** Bytes that are not what they must be, and nothing else, count as found. */
async function isFound(t: Test, recording: Recording, forgery: Forgery, random: Random): Promise<void> {
  const count = forgery === 'other-past' ? forgedCount / 4 : forgedCount;
  const cuts = chooseCuts(recording, readEntries(recording.journal), count, random);
  const results = (await examineCutsQuickly(recording, cuts, { forgery })).filter(({ isForged }) => isForged);
  if (forgery === 'no-floor' && results.length < leastForged) {
    t.comment(`no intent was outstanding for so long that a floor was needed at more than ${results.length} cuts`);
    return;
  }
  const found = results.filter(({ complaints }) => /^(lane|@txn)\S* (differs at byte|is \d+ bytes long)/m.test(complaints.join('\n')));
  t.ok(found.length > 0, `${forgery}: found at ${found.length} of ${results.length} cuts`);
}

void t.test('what small fdatasyncs promised outlives a power cut', { skip }, async (t) => {
  t.comment(`TIDEMARK_SEED=${seed}`);
  await withCommits(t, { seed, lanes: 3, steps: 12 }, async (recording, random) => {
    const cuts = chooseCuts(recording, readEntries(recording.journal), fullCount, random);
    const results = await examineCuts(t, recording, cuts, { keep: keepImage });
    for (const result of results) t.strictSame(result.complaints, [], told(result));
    t.ok(results.some(({ isReplayed }) => isReplayed), `${results.filter(({ isReplayed }) => isReplayed).length} times synced bytes came out of the log`);

    const quickly = await cutQuickly(recording, quickCount, random);
    allIsWell(t, quickly);
    t.ok(quickly.some(({ isReplayed }) => isReplayed), 'synced bytes came out of the log');
    allIsWell(t, await cutRecoveryQuickly(t, recording, Math.ceil(quickCount / 10), random));

    await isFound(t, recording, 'same-mount', random);
    await isFound(t, recording, 'never-retired', random);
    await isFound(t, recording, 'other-past', random);
    const crashed = await examineCutsQuickly(recording, cuts.slice(0, 4), { forgery: 'crash' });
    t.ok(crashed.every(({ complaints }) => /SIGKILL/.test(complaints.join())), 'crashes are told');
  });
});

void t.test('what small fdatasyncs promised outlives a power cut when the log has rolled since', { skip }, async (t) => {
  t.comment(`TIDEMARK_SEED=${seed}`);
  await withRolls(t, seed, async (recording, random) => {
    allIsWell(t, await cutQuickly(recording, 40, random));
    // On a slow machine all that was outstanding is retired before a whole segment has been written.
    await isFound(t, recording, 'no-floor', random);
  });
});
