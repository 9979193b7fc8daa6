/**
 * Opens a volume that is not mounted, for the commands that work without a daemon.
 *
 * Invariants:
 * 1. It makes no store where there is none.
 */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Volume } from '../engine/volume.js';
import { argumentPath, shown, toText } from './byte-path.js';
import { CommandError } from './errors.js';

/** The real directory of an unmounted volume. Throws CommandError when it has no store. */
export function storeDirectory(argument: string): string {
  const text = toText(argumentPath(argument));
  if (text === undefined) throw new CommandError(`${shown(argumentPath(argument))} is not UTF-8`, 'rename the directory');
  const directory = resolve(text);
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) throw new CommandError(`${directory} does not exist`, 'correct the path');
  if (!stat.isDirectory()) throw new CommandError(`${directory} is not a directory`, 'name the protected directory');
  if (!existsSync(join(directory, '.tidemark', 'volume.json'))) {
    throw new CommandError(`${directory} is not protected: it has no store`, `protect it: tidemark mount ${directory}`);
  }
  return directory;
}

/** Runs `work` with the opened volume. Throws what opening throws (ELOCKED when a daemon has it). */
export async function withVolume<T>(directory: string, work: (volume: Volume) => Promise<T>): Promise<T> {
  // Loaded here, so that commands that need no engine start quickly.
  const { Volume } = await import('../engine/volume.js');
  const volume = await Volume.open(directory);
  try {
    return await work(volume);
  } finally {
    await volume.close();
  }
}
