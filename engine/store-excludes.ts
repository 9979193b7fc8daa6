/**
 * The globs that a volume was last mounted with, kept in its store: whoever opens it without a mount (status, verify) must not take names without history for
 * ones that were changed behind its back. In: the backing directory. Out: globs.
 *
 * Invariants:
 * 1. `mount.json` is replaced whole, and only when it says something else.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from './errors.js';
import { replaceFile, storeName } from './store-files.js';

/** The globs kept; none where nothing sensible is kept. `root`: the backing directory. */
export function readExcludes(root: string): readonly string[] {
  try {
    const content = JSON.parse(readFileSync(pathIn(root), 'utf8')) as { exclude?: unknown };
    return Array.isArray(content.exclude) ? content.exclude.filter((glob) => typeof glob === 'string') : [];
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return [];
    throw error;
  }
}

export function keepExcludes(root: string, exclude: readonly string[]): void {
  const known = readExcludes(root);
  if (known.length === exclude.length && known.every((glob, index) => glob === exclude[index])) return;
  replaceFile(pathIn(root), { exclude });
}

function pathIn(root: string): string {
  return join(root, storeName, 'mount.json');
}
