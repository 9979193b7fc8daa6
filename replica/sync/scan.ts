/**
 * Walks the other side: nobody tells what changed there. In: a directory. Out: how each path stands.
 *
 * Invariants:
 * 1. What cannot be listed ends the walk: it must not pass for deleted. When the walk ends the directory is still the one that it was.
 */
import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { codeOf } from '../../engine/errors.js';
import { DestinationError, faultOf } from '../destination.js';
import { translate } from '../directory-faults.js';
import { bytesOf, fromBytes, joined } from '../paths.js';
import { isOurs } from './layout.js';
import { seenOf } from './place.js';
import type { Seen } from './place.js';
import type { StoredNames } from './stored-names.js';

export interface Scan {
  readonly seen: ReadonlyMap<string, Seen>;
  /** Stored names that mean the same path as another one. */
  readonly doubles: readonly string[];
}

const attempts = 3;

/** `isLeftOut`: of a path. Throws DestinationError; busy, when somebody is at work there all the time. */
export function scan(root: string, names: StoredNames, isLeftOut: (path: string, isDirectory: boolean) => boolean): Scan {
  for (let attempt = 1; ; attempt++) {
    try {
      return scanOnce(root, names, isLeftOut);
    } catch (error) {
      if (faultOf(error) !== 'busy' || attempt === attempts) throw error;
    }
  }
}

function scanOnce(root: string, names: StoredNames, isLeftOut: (path: string, isDirectory: boolean) => boolean): Scan {
  const seen = new Map<string, Seen>();
  const doubles: string[] = [];
  const before = identityOf(root);
  const walk = (directory: string, stored: string): void => {
    for (const { name } of readdirSync(Buffer.concat([Buffer.from(`${root}/`), bytesOf(stored)]), { withFileTypes: true, encoding: 'buffer' })) {
      const below = joined(stored, fromBytes(name));
      const path = names.read(directory, fromBytes(name));
      if (path === undefined) {
        doubles.push(below);
        continue;
      }
      const at = Buffer.concat([Buffer.from(`${root}/`), bytesOf(below)]);
      const stat = lstatSync(at, { bigint: true, throwIfNoEntry: false });
      if (stat === undefined || isOurs(path) || isLeftOut(path, stat.isDirectory())) continue;
      seen.set(path, seenOf(path, stat, stat.isSymbolicLink() ? fromBytes(readlinkSync(at, { encoding: 'buffer' })) : undefined));
      if (stat.isDirectory()) walk(path, below);
    }
  };
  try {
    walk('', '');
    if (identityOf(root) !== before) throw new DestinationError('gone', `${root} went away while it was looked at; plug it in again, the next run begins anew`);
  } catch (error) {
    const found = translate(error, root);
    // Somebody is at work there just now.
    throw codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR' ? new DestinationError('busy', `${root} changed while it was looked at; the next run looks again`, { cause: error }) : found;
  }
  return { seen, doubles };
}

function identityOf(root: string): string {
  const stat = statSync(root, { bigint: true });
  return `${stat.dev}:${stat.ino}`;
}
