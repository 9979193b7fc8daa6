/**
 * The engine's expected faults. Callers translate them to an errno, an exit status or an HTTP status, each in one place.
 *
 * Invariants:
 * 1. A message is one line, says what is wrong and what can be done about it, and ends without a newline.
 * 2. `code` is literal: MomentError has one, VolumeError has the errno name that fits the fault best.
 */

/** What is wrong with a moment that a user wrote. */
export type MomentFault = 'unreadable' | 'future' | 'too-old';

/** A moment that cannot be read, or lies outside the history. */
export class MomentError extends Error {
  readonly code = 'EMOMENT';
  readonly fault: MomentFault;

  constructor(fault: MomentFault, message: string) {
    super(message);
    this.name = 'MomentError';
    this.fault = fault;
  }
}

export type VolumeErrorCode =
  | 'EACCES' | 'EBUSY' | 'EEXIST' | 'EFORMAT' | 'EINVAL' | 'EIO' | 'ELOCKED' | 'ENOENT' | 'ENOSPC' | 'ENOTDIR' | 'EROFS' | 'EUNSUPPORTED';

/** A fault of a volume, its store, or of what was asked of it. */
export class VolumeError extends Error {
  readonly code: VolumeErrorCode;

  constructor(code: VolumeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'VolumeError';
    this.code = code;
  }
}

/** The `code` of anything thrown, "" when it has none. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

/** The message of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
}

const openRemedies: Readonly<Record<string, (directory: string) => string>> = {
  ENOENT: (directory) => `${directory} does not exist; create it or correct the path`,
  ENOTDIR: (directory) => `${directory} is not a directory; give the directory that is to be protected`,
  EACCES: (directory) => `no permission to open ${directory}; run as its owner or as root`,
  EPERM: (directory) => `no permission to open ${directory}; run as its owner or as root`,
  EROFS: (directory) => `${directory} is on a read-only file system, so no history can be kept; remount it writable`,
  ENOSPC: (directory) => `the disk of ${directory} is so full that the store cannot even be opened to give up history; free some MiB and try again`,
  ELOCKED: (directory) => `${directory} is already open in another tidemark daemon; see "tidemark status ${directory}"`,
  EFORMAT: (directory) => `the store of ${directory} was made by a newer tidemark; update this one`,
  EUNSUPPORTED: (directory) => `the file system of ${directory} cannot hold a store (no rename into it or no stable inode numbers); use ext4, xfs or btrfs`,
};

/** Turns whatever opening a directory threw into a VolumeError with the remedy. */
export function openError(error: unknown, directory: string): VolumeError {
  if (error instanceof VolumeError) return error;
  const code = codeOf(error);
  const remedy = openRemedies[code];
  if (remedy === undefined) return new VolumeError('EIO', `cannot open ${directory}: ${messageOf(error)}`, { cause: error });
  return new VolumeError((code === 'EPERM' ? 'EACCES' : code) as VolumeErrorCode, remedy(directory), { cause: error });
}
