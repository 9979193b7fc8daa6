/**
 * Paths are bytes: names of a file system need not be text.
 */
const slashByte = 0x2f;

/** The names of a path, with or without a leading slash; "." and empty ones left out. */
export function splitPath(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let start = 0; start <= path.length;) {
    const slash = path.indexOf(slashByte, start);
    const end = slash < 0 ? path.length : slash;
    const name = path.subarray(start, end);
    if (name.length > 0 && !(name.length === 1 && name[0] === 0x2e)) names.push(name);
    start = end + 1;
  }
  return names;
}

const slash = Buffer.from('/');

/** A name below a directory's path ("/" or without a slash at its end). */
export function joinBytes(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 1 && directory[0] === slashByte ? Buffer.concat([slash, name]) : Buffer.concat([directory, slash, name]);
}
