/**
 * Files of a backup that are JSON and read line by line as well: a header, an entry a line in the order of their paths, and the SHA-256 of all that stands above it. Manifests are such files, and the lists of what a
 * run replaced. In: bytes. Out: lines, found by halving, so that a hundred changes in a million entries cost what they are.
 *
 * ```
 * {"format":1,…,"entries":[
 * {"path":"a",…},
 * {"path":"b",…}
 * ],"sha256":"…"}
 * ```
 *
 * Invariants:
 * 1. A file whose hash is not right, or that ends early, is no such file.
 * 2. Paths grow from line to line.
 */
import { createHash } from 'node:crypto';
import { DestinationError } from './destination.js';
import { parseEntry, pathOfLine } from './entry.js';
import type { Entry } from './entry.js';

const newline = 10;
const comma = 44;
const headerEnd = ',"entries":[';

export class LineFile<Header> {
  readonly header: Header;
  /** What stands in the last line: of all above it. */
  readonly sha256: string;
  readonly #bytes: Buffer;
  /** Where each line of an entry begins, and behind the last one where the end begins. */
  readonly #starts: number[];

  /** `what`: for the error. Throws DestinationError damaged. */
  constructor(bytes: Buffer, what: string) {
    const damaged = (why: string): DestinationError => new DestinationError('damaged', `${what} was altered (${why}), it does not count; the next run sends what is missing`);
    this.#bytes = bytes;
    const end = bytes.lastIndexOf('\n],"sha256":"');
    const head = bytes.indexOf(newline);
    if (end < 0 || head < 0 || head > end) throw damaged('it ends early');
    const tail = /^\],"sha256":"([0-9a-f]{64})"\}\n$/.exec(bytes.toString('latin1', end + 1));
    if (tail === null || tail[1] !== createHash('sha256').update(bytes.subarray(0, end + 1)).digest('hex')) throw damaged('its checksum is wrong');
    this.sha256 = tail[1]!;
    try {
      this.header = JSON.parse(`${bytes.toString('utf8', 0, head).slice(0, -headerEnd.length)}}`) as Header;
    } catch {
      throw damaged('its first line cannot be read');
    }
    this.#starts = [];
    for (let at = head + 1; at < end; at = bytes.indexOf(newline, at) + 1) this.#starts.push(at);
    this.#starts.push(end + 1);
  }

  get count(): number {
    return this.#starts.length - 1;
  }

  line(index: number): string {
    const end = this.#starts[index + 1]! - 1;
    return this.#bytes.toString('utf8', this.#starts[index]!, this.#bytes[end - 1] === comma ? end - 1 : end);
  }

  /** The index of the first line whose path is not below this one in order. */
  firstFrom(path: string): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pathOfLine(this.line(middle)) < path) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  lineOf(path: string): string | undefined {
    const index = this.firstFrom(path);
    const line = index < this.count ? this.line(index) : undefined;
    return line !== undefined && pathOfLine(line) === path ? line : undefined;
  }

  /** Indices of the lines of a path and of all below it. */
  * below(path: string): Generator<number> {
    if (path === '') {
      for (let index = 0; index < this.count; index++) yield index;
      return;
    }
    const own = this.firstFrom(path);
    if (own < this.count && pathOfLine(this.line(own)) === path) yield own;
    // What begins with the path and a slash stands together.
    const end = this.firstFrom(`${path}0`);
    for (let index = this.firstFrom(`${path}/`); index < end; index++) yield index;
  }

  /** Indices of the lines that hold a text. */
  * holding(text: string): Generator<number> {
    for (let at = this.#bytes.indexOf(text); at >= 0; at = this.#bytes.indexOf(text, at + 1)) {
      let [low, high] = [0, this.count];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.#starts[middle + 1]! <= at) low = middle + 1;
        else high = middle;
      }
      if (low < this.count) yield low;
    }
  }

  /** Whole lines, without the last one's line break and comma, as bytes. */
  bytesOf(from: number, to: number): Buffer {
    const end = this.#starts[to]! - 1;
    return this.#bytes.subarray(this.#starts[from]!, this.#bytes[end - 1] === comma ? end - 1 : end);
  }
}

/** The entry of a path; undefined when there is none. */
export function entryAt(catalog: LineFile<unknown>, path: string): Entry | undefined {
  const line = catalog.lineOf(path);
  return line === undefined ? undefined : parseEntry(line);
}

/** The chunks of such a file: `base`'s lines with some replaced, added (a line) or taken out (undefined). */
export function* lineFile(header: object, base: LineFile<unknown> | undefined, changes: ReadonlyMap<string, string | undefined>): Generator<Buffer> {
  const hash = createHash('sha256');
  const out = (bytes: Buffer): Buffer => {
    hash.update(bytes);
    return bytes;
  };
  yield out(Buffer.from(`${JSON.stringify(header).slice(0, -1)}${headerEnd}\n`));
  let isFirst = true;
  const parts = function* (): Generator<Buffer> {
    let at = 0;
    for (const path of [...changes.keys()].sort(byBytes)) {
      const next = base?.firstFrom(path) ?? 0;
      if (base !== undefined && next > at) yield base.bytesOf(at, next);
      const isThere = base !== undefined && next < base.count && pathOfLine(base.line(next)) === path;
      at = isThere ? next + 1 : next;
      const line = changes.get(path);
      if (line !== undefined) yield Buffer.from(line);
    }
    if (base !== undefined && base.count > at) yield base.bytesOf(at, base.count);
  };
  for (const part of parts()) {
    if (!isFirst) yield out(Buffer.from(',\n'));
    isFirst = false;
    yield out(part);
  }
  yield out(Buffer.from('\n'));
  yield Buffer.from(`],"sha256":"${hash.digest('hex')}"}\n`);
}

function byBytes(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
