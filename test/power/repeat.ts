/**
 * Examines a cut that was kept because of complaints. Usage: `node dist/test/power/repeat.js DIRECTORY`, as root. Prints the complaints.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize } from 'node:v8';
import { examine } from './cut.js';
import type { Kept } from './cuts.js';
import { copySparse } from './recording-disk.js';

const directory = process.argv[2];
if (directory === undefined) throw new Error('which directory?');
const { cut, witness } = deserialize(readFileSync(join(directory, 'witness'))) as Kept;
// The examination changes its image.
const image = join(directory, `examined-${process.pid}`);
copySparse(join(directory, 'image'), image);
const { complaints } = await examine({ comment: (...words) => { console.error(...words); } }, image, cut, witness);
rmSync(image);
for (const complaint of complaints) console.log(complaint);
console.log(`${complaints.length} complaints`);
process.exitCode = complaints.length > 0 ? 1 : 0;
