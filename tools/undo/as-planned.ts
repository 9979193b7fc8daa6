/**
 * Looks, right before an undo changes something, whether it is still what the plan was made for. What others write while an undo goes on stays: it is in no moment yet, so
 * it could not be brought back. In: a file, and the same file as the undo began. Out: nothing, or an error that names what has changed.
 */
import { fstatSync, lstatSync, readSync } from 'node:fs';
import { files } from '../../native/index.js';
import { CommandError } from '../errors.js';

/** Bytes of two open files in a range; behind an end all are zero. */
export function requireSameBytes(now: number, begin: number, { start, length, what }: { readonly start: number; readonly length: number; readonly what: string }): void {
  if (!readRange(now, start, length).equals(readRange(begin, start, length))) throw changed(`bytes ${start}–${start + length - 1} of ${what}`);
}

export function requireSameSize(now: number, begin: Buffer, what: string): void {
  if (fstatSync(now).size !== lstatSync(begin).size) throw changed(`the size of ${what}`);
}

/** Setuid and setgid are left out: a change of the owner, or of bytes, takes them. */
export function requireSameNumber(which: 'mode' | 'uid' | 'gid', now: Buffer, begin: Buffer, what: string): void {
  const [one, other] = [lstatSync(now), lstatSync(begin)];
  if (which === 'mode' ? ((one.mode ^ other.mode) & 0o1777) !== 0 : one[which] !== other[which]) throw changed(`${which === 'mode' ? 'the mode' : 'the owner'} of ${what}`);
}

/** Capabilities are taken by a change of bytes or of the owner. */
export function requireSameXattr(name: Buffer, now: Buffer | undefined, begin: Buffer, what: string): void {
  if (now === undefined && name.toString('latin1') === 'security.capability') return;
  const then = xattrOf(begin, name);
  if (now === undefined ? then !== undefined : then?.equals(now) !== true) throw changed(`an attribute of ${what}`);
}

export function xattrOf(path: Buffer, name: Buffer): Buffer | undefined {
  return files.getXattrs(path).find((attribute) => attribute.name.equals(name))?.value;
}

function readRange(descriptor: number, start: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length;) {
    const count = readSync(descriptor, bytes, done, length - done, start + done);
    if (count === 0) break;
    done += count;
  }
  return bytes;
}

function changed(what: string): CommandError {
  return new CommandError(`${what} changed meanwhile and stays as it is`);
}
