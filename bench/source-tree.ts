/**
 * A tree of small text files, as sources have, packed into a tar archive: the input of the tree and snapshot groups.
 * A directory and a count come in; the archive's path goes out.
 *
 * Invariants:
 * 1. The tree is a pure function of the count: names, sizes and bytes.
 * 2. One file in a hundred holds the word that grep looks for.
 * 3. The packed tree stays: ext4 makes inodes slowly for a minute after many were deleted.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { execute } from './command.js';

export const searchedWord = 'xylographer';
const filesPerDirectory = 50;
const words = 'const return if else for while struct int void static char include function value result error length buffer'.split(' ');

/** Makes the tree `tree` and its archive `tree.tar` in the directory, unless they are there, and returns the archive's path. */
export async function makeSourceTree(directory: string, fileCount: number): Promise<string> {
  const archive = `${directory}/tree.tar`;
  if (existsSync(archive)) return archive;
  let state = 88_172_645;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let index = 0; index < fileCount; index++) {
    const folder = `${directory}/tree/part-${Math.floor(index / filesPerDirectory / 10)}/module-${Math.floor(index / filesPerDirectory)}`;
    if (index % filesPerDirectory === 0) await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/file-${index}.c`, text(random, index));
  }
  await execute('tar', ['-cf', archive, '-C', directory, 'tree']);
  return archive;
}

/** 200 bytes to 8 KiB of lines, most of them short. */
function text(random: (below: number) => number, index: number): string {
  const length = 200 + Math.floor(random(90) ** 2);
  let content = index % 100 === 0 ? `/* ${searchedWord} ${index} */\n` : `/* ${index} */\n`;
  while (content.length < length) {
    content += words[random(words.length)] + (random(9) === 0 ? ';\n' : ' ');
  }
  return `${content}\n`;
}
