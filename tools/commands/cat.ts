/** `tidemark cat PATH --at T`: a file's bytes as they were, to standard output. */
import { closeSync, constants, fstatSync, openSync, createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { withDaemonIfAllowed } from '../asking.js';
import { bytesOf, shown } from '../byte-path.js';
import { codeOf, CommandError, isAbsent } from '../errors.js';
import { locate } from '../locate.js';
import { absentAt, momentAt, pathAt } from '../moment.js';

const chunkBytes = 1024 * 1024;

export function addCat(program: Command): void {
  program.command('cat').description('print a file as it was').argument('<PATH>', 'a file; deleted ones too').requiredOption('--at <T>', 'the moment')
    .action(cat);
}

async function cat(argument: string, options: { readonly at: string }): Promise<void> {
  const located = locate(argument);
  const moment = await withDaemonIfAllowed(located, (client) => momentAt(located, options.at, client));
  const name = shown(located.absolute);
  let descriptor: number;
  try {
    descriptor = openSync(bytesOf(pathAt(moment, located.path)), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isAbsent(error)) throw absentAt(name, options.at);
    if (codeOf(error) === 'ELOOP') throw new CommandError(`${name} was a symlink at ${options.at}`, '`tidemark ls` shows where to');
    throw error;
  }
  if (!fstatSync(descriptor).isFile()) {
    const isDirectory = fstatSync(descriptor).isDirectory();
    closeSync(descriptor);
    throw new CommandError(`${name} was ${isDirectory ? 'a directory' : 'no regular file'} at ${options.at}`, isDirectory ? 'use `tidemark ls`' : 'only files have contents');
  }
  await pipeline(createReadStream('', { fd: descriptor, highWaterMark: chunkBytes }), process.stdout, { end: false });
}
