/**
 * The one place where faults become errnos. In: whatever a request below `.snapshots` threw. Out: the errno name the
 * kernel is told, and whether the fault is worth a line in the log.
 *
 * Invariants:
 * 1. Every value that can be thrown has an answer; what is not known here is EIO and is logged.
 * 2. What a user can cause by asking (an absent name, a moment that cannot be read, a closed door) is never logged.
 */
import { constants } from 'node:os';
import { MomentError, codeOf } from '../engine/errors.js';

/** A fault that already knows its errno. */
export class ErrnoError extends Error {
  readonly code: string;

  /** `code`: an errno name, such as "ENOENT". */
  constructor(code: string, what: string) {
    super(`${code}: ${what}`);
    this.name = 'ErrnoError';
    this.code = code;
  }
}

/** What the kernel is told about a fault. */
export interface ErrnoAnswer {
  /** An errno name. */
  readonly code: string;
  /** true when the fault is none that asking alone can cause, so that it belongs in the log. */
  readonly isFault: boolean;
}

/** Answers that are ordinary: they say something about the question, not about the store. */
const ordinary: ReadonlySet<string> = new Set([
  'ENOENT', 'EACCES', 'EPERM', 'ENODATA', 'ESTALE', 'ENOTDIR', 'EISDIR', 'EINVAL', 'ENAMETOOLONG', 'EROFS', 'EINTR',
]);

/** Faults of the machine that the caller should see by their own name. */
const passedOn: ReadonlySet<string> = new Set(['EIO', 'ENOMEM', 'EMFILE', 'ENFILE', 'ENOSPC', 'EDQUOT', 'EUCLEAN']);

const namesByNumber: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name]),
);

/** Translates anything thrown. */
export function errnoOf(error: unknown): ErrnoAnswer {
  if (error instanceof MomentError) return { code: 'ENOENT', isFault: false };
  const code = codeOf(error);
  if (ordinary.has(code)) return { code, isFault: false };
  if (passedOn.has(code)) return { code, isFault: true };
  return { code: 'EIO', isFault: true };
}

/** The name of an errno number (as NativeVolume.access returns it); "EIO" for a number this system does not know. */
export function errnoName(number: number): string {
  return namesByNumber.get(number) ?? 'EIO';
}
