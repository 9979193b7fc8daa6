/**
 * How paths are called at the other side, where not every name can be: escaped as in stored-name.ts, and, where capitals count for nothing, the second of two names that differ in them alone with its letters escaped (`readme` beside
 * `README` as `%72%65%61%64%6D%65`). What somebody else named there keeps its name. In: what is listed there, paths. Out: paths as stored.
 *
 * Invariants:
 * 1. Different paths are stored under different names, also where capitals count for nothing.
 * 2. A name that this stored is read back as the path that it was stored for; what another program called "100%25" means itself, unless this would have written it so.
 */
import type { Abilities } from '../destination.js';
import { joined, nameOf, parentOf, toText } from '../paths.js';
import { decodePath, encodePath } from '../stored-name.js';

/** As a place that ignores capitals compares names. */
export function fold(path: string): string {
  return Buffer.from((toText(path) ?? path).toLowerCase()).toString('latin1');
}

export class StoredNames {
  readonly #kind: Abilities['names'];
  readonly #ignoresCase: boolean;
  readonly #stored = new Map<string, string>();
  readonly #taken = new Map<string, string>();

  constructor(kind: Abilities['names'], ignoresCase: boolean) {
    // Where capitals count for nothing some names are escaped in any case.
    this.#kind = ignoresCase && kind === 'bytes' ? 'text' : kind;
    this.#ignoresCase = ignoresCase;
  }

  /** The path of a name that is listed in the directory of this path; undefined when another name there is read as the same. */
  read(directory: string, stored: string): string | undefined {
    const path = joined(directory, this.#decode(stored));
    const known = this.#stored.get(path);
    const whole = joined(this.of(directory), stored);
    if (known !== undefined && known !== whole) return undefined;
    this.#keep(path, whole);
    return path;
  }

  /** Where a path is, or would be. */
  of(path: string): string {
    if (path === '') return '';
    const known = this.#stored.get(path);
    if (known !== undefined) return known;
    const directory = this.of(parentOf(path));
    const name = encodePath(nameOf(path), this.#kind);
    const plain = joined(directory, name);
    const isFree = !this.#ignoresCase || !this.#taken.has(fold(plain));
    const stored = isFree ? plain : joined(directory, escaped(name));
    this.#keep(path, stored);
    return stored;
  }

  /** The path is there no more; its name is free. */
  forget(path: string): void {
    const stored = this.#stored.get(path);
    if (stored === undefined) return;
    this.#stored.delete(path);
    if (this.#taken.get(fold(stored)) === path) this.#taken.delete(fold(stored));
  }

  #keep(path: string, stored: string): void {
    this.#stored.set(path, stored);
    this.#taken.set(fold(stored), path);
  }

  #decode(stored: string): string {
    if (this.#kind === 'bytes') return stored;
    const name = decodePath(stored, this.#kind);
    const written = encodePath(name, this.#kind);
    return written === stored || (this.#ignoresCase && escaped(written) === stored) ? name : stored;
  }
}

/** Every letter, and every byte that is not ASCII, as %XX. */
function escaped(name: string): string {
  return name.replace(/%[0-9A-F]{2}|[A-Za-z\x80-\xff]/g, (found) => (found.length > 1 ? found : `%${found.charCodeAt(0).toString(16).toUpperCase()}`));
}
