/**
 * Two nodes, simulated: thousands of short histories of faults, each from a seed, through the code that runs in production, over a clock, a network, disks and trees in memory.
 */
import t from 'tap';
import { chooseSeed } from '../support/seed.js';
import { simulate } from './simulation/run.js';

t.setTimeout(240_000);

const seedCount = Number(process.env['TIDEMARK_SIMULATIONS'] ?? 2000);

void t.test(`in ${seedCount} histories the standby is a prefix of the primary, loses nothing that was acknowledged, and is equal in the end`, async (t) => {
  const first = chooseSeed();
  for (let seed = first; seed < first + seedCount; seed++) {
    try {
      await simulate(seed);
    } catch (error) {
      t.fail(`TIDEMARK_SIMULATIONS=1 TIDEMARK_SEED=${seed}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
      return;
    }
  }
  t.pass();
});
