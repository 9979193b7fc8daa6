/**
 * History is on the disk before what destroys it can be: each operation is done once by itself, the kernel writes what it did to the disk at once, past the
 * mount (it may at any time), and the power is cut there. The snapshot from before must read as before.
 */
import t from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { chooseSeed } from '../support/seed.js';
import { examineCuts, keepImage, told } from './cuts.js';
import { exactHistory, withRecording } from './recording.js';
import { changeEach, destroyEach } from './workload.js';

t.setTimeout(300_000);
t.jobs = 2;

const seed = chooseSeed();
const skip = isRoot ? await unlessInstalled('mkfs.ext4', 'losetup', 'gcc') : 'needs root';

for (const { what, work, extra } of [
  { what: 'each operation that destroys', work: destroyEach, extra: [] },
  { what: 'each other operation, where every change waits for the log', work: changeEach, extra: [exactHistory] },
]) {
  void t.test(`a snapshot outlives a power cut right after ${what}`, { skip }, async (t) => {
    t.comment(`TIDEMARK_SEED=${seed}`);
    await withRecording(t, { seed, lanes: 1, sessions: 1, writesBackIn: 1, work, arguments: extra }, async (recording) => {
      const [lane] = recording.witness.lanes;
      const operations = lane?.operations.slice(1) ?? [];
      const cuts = recording.witness.writeBacks.map((position) => ({ position, seed }));
      t.equal(cuts.length, operations.length, 'a cut for each operation');
      const results = await examineCuts(t, recording, cuts, { keep: keepImage });
      for (const [index, result] of results.entries()) t.strictSame(result.complaints, [], `${operations[index]?.what}: ${told(result)}`);
    });
  });
}
