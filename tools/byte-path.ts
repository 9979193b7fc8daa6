/**
 * Paths as Linux has them: any bytes but NUL. Inside the commands a path is a BytePath, a string with one character
 * for each byte, so that node:path works on it and nothing is lost; it comes in from the command line or a directory
 * listing and goes out to node:fs (`bytesOf`), to people (`shown`) or to JSON (`jsonPath`).
 *
 * Invariants:
 * 1. bytesOf(bytePath(b)) equals b, whatever b holds.
 * 2. What `shown` prints is one line without control characters, and different paths print differently.
 */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** One character (U+0000 … U+00FF) for each byte of a path. */
export type BytePath = string & { readonly __bytePath: unique symbol };

export function bytePath(bytes: Uint8Array): BytePath {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as BytePath;
}

export function bytesOf(path: BytePath): Buffer {
  return Buffer.from(path, 'latin1');
}

/** From ordinary text (UTF-8 on disk). */
export function fromText(text: string): BytePath {
  return bytePath(Buffer.from(text, 'utf8'));
}

/** As ordinary text; undefined when the bytes are not UTF-8. */
export function toText(path: BytePath): string | undefined {
  const bytes = bytesOf(path);
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined;
}

export function joinPath(directory: BytePath, ...names: string[]): BytePath {
  return posix.join(directory, ...names) as BytePath;
}

export function parentOf(path: BytePath): BytePath {
  return posix.dirname(path) as BytePath;
}

export function nameOf(path: BytePath): BytePath {
  return posix.basename(path) as BytePath;
}

/** true when `path` is `directory` or lies below it. Both absolute and normal. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** `path` from `directory`, with a leading slash; "/" for the directory itself. `path` must be within it. */
export function relativeTo(path: BytePath, directory: BytePath): BytePath {
  return (directory === '/' ? path : path.slice(directory.length) || '/') as BytePath;
}

/** For people: UTF-8 where it is, bytes that are not, control characters and backslashes as \xNN or \\. */
export function shown(path: BytePath): string {
  const text = toText(path);
  if (text !== undefined) {
    return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\\]/gu, (character) => (character === '\\' ? '\\\\' : escapeBytes(Buffer.from(character))));
  }
  return path.replace(/[^\x20-\x5b\x5d-\x7e]/g, (character) => (character === '\\' ? '\\\\' : escapeBytes(Buffer.from(character, 'latin1'))));
}

/** The fields of a path in JSON: text, and where that loses bytes the bytes too, in hexadecimal. */
export function jsonPath(path: BytePath): { path: string; pathHex?: string } {
  const text = toText(path);
  return text === undefined ? { path: bytesOf(path).toString('utf8'), pathHex: bytesOf(path).toString('hex') } : { path: text };
}

/**
 * A path argument of this process, with the bytes the shell gave. Node decodes arguments as UTF-8 and replaces what is not; the
 * kernel still has the original.
 */
export function argumentPath(argument: string): BytePath {
  if (!argument.includes('\ufffd')) return fromText(argument);
  for (const raw of splitAtNul(readFileSync('/proc/self/cmdline'))) {
    if (raw.toString('utf8') === argument) return bytePath(raw);
    const equals = raw.indexOf('=');
    if (equals >= 0 && raw.subarray(equals + 1).toString('utf8') === argument) return bytePath(raw.subarray(equals + 1));
  }
  return fromText(argument);
}

function splitAtNul(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
    parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return parts;
}

function escapeBytes(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
