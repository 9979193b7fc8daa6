/** What a policy gives up: that what was judged stays judged. */
import t from 'tap';
import { txid } from '../../engine/ids.js';
import { defaultPolicyText, readPolicy } from '../../engine/policy.js';
import { planPruning } from '../../engine/pruning-plan.js';
import type { Transaction } from '../../engine/types.js';

const nowMs = 1_000_000_000;
const policy = readPolicy({ ...defaultPolicyText, ladder: '1h:all', atLeast: '1s' });

/** Moments that many seconds old, oldest first; txids as given. */
function moments(...list: readonly (readonly [txid: number, ageSeconds: number])[]): Transaction[] {
  return list.map(([number, age]) => ({
    txid: txid(number), timeNs: BigInt(nowMs - age * 1000) * 1_000_000n, uid: 0, gid: 0, pid: 0, command: '', reason: 'sync', external: false, recovered: false, quiescent: false,
  }));
}

void t.test('the horizon does not go back when a moment that was held is let go while another one is still held', async (t) => {
  // Up to 1000 all but these was given up while 200 and 900 were held; 950 would come back with a log that says "kept up to 900".
  const all = moments([200, 9000], [900, 8000], [1000, 3000], [1001, 2000]);
  const { kept, gone } = await planPruning({ transactions: { all: () => all.values(), horizon: () => 1000 }, held: new Set([900]), policy, nowMs });
  t.equal(gone, 1);
  t.strictSame([...kept], [900, 1000]);
});

void t.test('nor when the ladder has become longer meanwhile', async (t) => {
  const all = moments([200, 9000], [1000, 3], [1001, 2], [1002, 1]);
  const { kept } = await planPruning({ transactions: { all: () => all.values(), horizon: () => 1001 }, held: new Set(), policy, nowMs });
  t.strictSame([...kept], [1000, 1001]);
});
