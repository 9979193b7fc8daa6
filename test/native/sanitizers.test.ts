/**
 * The addon's sources under AddressSanitizer (with undefined behaviour) and under ThreadSanitizer: fuzzed, and mounted under load. `npm run
 * test:asan` and `test:tsan` run the same for longer.
 */
import { join } from 'node:path';
import t from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { runWell } from '../support/processes.js';

t.setTimeout(600_000);

const skip = await unlessInstalled('g++');
const root = join(import.meta.dirname, '../../..');
const environment = { FUZZ_SECONDS: '3', LOAD_STEPS: '100' };

for (const kind of ['address', 'thread']) {
  t.test(`${kind} sanitizer`, { skip }, async (t) => {
    const said = await runWell('bash', [join(root, 'test/native/sanitize.sh'), kind], { environment, limitMs: 580_000 });
    t.match(said, `${kind}: nothing found`);
  });
}
