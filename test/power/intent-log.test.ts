/**
 * Small fdatasyncs are answered from the log alone (native/src/intents.h): the power is cut while databases, so to say, commit to files that they hold open,
 * change their size and holes in between, or sync them in other ways. What was synced is there, out of the log where it has to be; every snapshot reads
 * as before.
 */
import t from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { chooseSeed, Random } from '../support/seed.js';
import { chooseCuts, examineCuts, keepImage, told } from './cuts.js';
import { readEntries } from './journal.js';
import { withRecording } from './recording.js';
import { commitSmall } from './commits.js';

t.setTimeout(300_000);

const seed = chooseSeed();
const skip = isRoot ? await unlessInstalled('mkfs.ext4', 'losetup', 'gcc') : 'needs root';
const cutCount = Number(process.env['TIDEMARK_CUTS'] ?? 12);

void t.test('what small fdatasyncs promised outlives a power cut', { skip }, async (t) => {
  t.comment(`TIDEMARK_SEED=${seed}`);
  const random = new Random(seed);
  const options = { seed: random.below(2 ** 32), lanes: 2, sessions: 1, writesBackIn: 6 };
  await withRecording(t, { ...options, work: (lane, own) => commitSmall(lane, own, 12) }, async (recording) => {
    const cuts = chooseCuts(recording, readEntries(recording.journal), cutCount, random);
    const results = await examineCuts(t, recording, cuts, { keep: keepImage });
    for (const result of results) t.strictSame(result.complaints, [], told(result));
    t.ok(results.some(({ isReplayed }) => isReplayed), `${results.filter(({ isReplayed }) => isReplayed).length} times synced bytes came out of the log`);
  });
});
