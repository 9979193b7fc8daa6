/**
 * What errors of the file system mean to a backup. In: errno errors. Out: DestinationErrors, each with one line that says what to do.
 */
import { codeOf, messageOf } from '../engine/errors.js';
import { DestinationError } from './destination.js';
import type { DestinationFault } from './destination.js';

type Said = readonly [fault: DestinationFault, line: (root: string) => string];

const plugIn = (root: string): string => `${root} does not answer any more: the drive or the share is gone; plug it in again, the next run goes on where this one was`;

const meanings: Readonly<Record<string, Said>> = {
  ENOSPC: ['full', (root) => `there is no space left on ${root}; make room there, or shorten its ladder with --keep`],
  EDQUOT: ['full', (root) => `the quota on ${root} is used up; make room there, or shorten its ladder with --keep`],
  EROFS: ['read-only', (root) => `${root} is read-only; mount it writable`],
  EACCES: ['denied', (root) => `no permission to use ${root}; let the user of the daemon write there`],
  EPERM: ['denied', (root) => `no permission to use ${root}; let the user of the daemon write there`],
  ENOTDIR: ['refused', (root) => `${root} is not what it should be: a file stands where a directory was expected`],
  EIO: ['gone', plugIn], ENODEV: ['gone', plugIn], ENXIO: ['gone', plugIn], ENOTCONN: ['gone', plugIn], ESTALE: ['gone', plugIn], EHOSTDOWN: ['gone', plugIn], ETIMEDOUT: ['gone', plugIn],
};

export function translate(error: unknown, root: string): DestinationError {
  if (error instanceof DestinationError) return error;
  const code = codeOf(error);
  if (code === 'ENOENT') return new DestinationError('absent', `${messageOf(error)}; it is not there`, { cause: error });
  const said = meanings[code];
  if (said === undefined) return new DestinationError('refused', `${root}: ${messageOf(error)}; look at that place`, { cause: error });
  return new DestinationError(said[0], said[1](root), { cause: error });
}
