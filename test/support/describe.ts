/**
 * Describes directories with the model's worker: one line a name with everything that must be the same in a copy.
 */
import { join } from 'node:path';
import { Worker } from '../model/worker.js';
import { compile } from './compile.js';

/** Compiles the describing program into a directory outside the mount; gives a function from directory to lines. */
export async function makeDescriber(place: string): Promise<(directory: string) => Promise<readonly string[]>> {
  const program = join(place, 'describer');
  await compile(['test/model/worker.c', 'test/model/operations.c', 'test/model/describe.c'], program);
  return async (directory) => {
    const worker = new Worker(program, { mount: directory, twin: directory });
    try {
      const { lines, errno } = await worker.describe('mount');
      if (errno !== 0) throw new Error(`errno ${errno} while reading ${directory}`);
      return lines;
    } finally {
      await worker.end();
    }
  };
}
