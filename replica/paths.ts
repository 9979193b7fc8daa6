/**
 * Paths of a backed up tree and of a destination: from its root, without a leading slash, names divided by "/", one character (U+0000 … U+00FF) for each byte, so that
 * whatever a file is called is one string, and the order of strings is the order of bytes.
 *
 * Invariants:
 * 1. The root is "".
 */

export function joined(directory: string, name: string): string {
  return directory === '' ? name : name === '' ? directory : `${directory}/${name}`;
}

/** The directory that a path lies in; "" for the root's own entries. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** true for the path itself, too. Everything is below "". */
export function isBelow(path: string, directory: string): boolean {
  return directory === '' || path === directory || (path.startsWith(directory) && path.charAt(directory.length) === '/');
}

export function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

export function fromBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** From ordinary text. */
export function fromText(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** As ordinary text; undefined when the bytes are not UTF-8. */
export function toText(path: string): string | undefined {
  if (/^[\x20-\x7e]*$/.test(path)) return path;
  const bytes = bytesOf(path);
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? text : undefined;
}

/** For people, on one line. */
export function shown(path: string): string {
  return (toText(path) ?? path).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}
