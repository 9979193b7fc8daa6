/**
 * A process that examines cuts quickly, for quick-cuts.ts, which hears when it is gone. Usage: `node --expose-gc quick-worker.js JOB FIRST STEP`: the cuts
 * FIRST, FIRST + STEP … of a job, as root. Prints a line of JSON for each.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { deserialize } from 'node:v8';
import { CutImages, readEntries } from './journal.js';
import { examineQuickly } from './quick-cut.js';
import { placesOf } from './quick-cuts.js';
import type { QuickJob, QuickLine } from './quick-cuts.js';

const [job = '', first = '', step = ''] = process.argv.slice(2);
const { base, journal, witness, cuts, promises, forgery, disk, pastIn } = deserialize(readFileSync(job)) as QuickJob;
const { image, rolling, mountpoint } = placesOf(job, Number(first) % Number(step));
mkdirSync(mountpoint, { recursive: true });
const images = CutImages.open(readEntries(journal), { base, journal, rolling }, disk);
for (let index = Number(first); index < cuts.length; index += Number(step)) {
  const cut = cuts[index]!;
  const writesLost = images.make(cut, image);
  const depth = forgery === 'other-past' || cut.seed % pastIn === 0 ? 'past' : 'live';
  const found = await examineQuickly({ image, mountpoint, witness, promises: promises ?? cut, forgery, depth });
  rmSync(image);
  const line: QuickLine = { writesLost, ...found };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
images.close();
