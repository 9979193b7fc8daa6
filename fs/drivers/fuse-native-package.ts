/**
 * The npm package fuse-native 2.2.6, as far as the driver uses it: an optional dependency, loaded when a mount asks for it. In: nothing. Out: its class, or one line that says why
 * there is none here.
 *
 * It is not maintained any more, and its layer of JavaScript loses what its layer of C has: sizes of buffers, handles, the second of two times. Hence the driver puts functions of its own in
 * the place of the methods `_op_…` (of which 2.2.6 has 34) that the layer of C calls, and tells the class only which of them there are.
 *
 * Invariants:
 * 1. Nothing of it is loaded before it is asked for.
 */
import { createRequire } from 'node:module';
import { messageOf } from '../../engine/errors.js';

export const packageName = 'fuse-native';

/** Answers one request: 0, or what was read or written, or a negative errno; then what the kind of request says. */
export type Signal = (result: number, ...answer: unknown[]) => void;

/** Called by the layer of C: its memory for the requesting thread, the kind of request, its arguments. */
type Handler = (threadMemory: Buffer, kind: number, ...request: unknown[]) => void;

/** A mount of the package. */
export interface FuseMount {
  /** By kind. */
  readonly _handlers: (Handler | undefined)[];
  /** The options for libfuse: "-o" and a list. */
  _fuseOptions: () => string;
  /** Calls back when INIT has been answered, or with what went wrong. */
  mount(done: (error: Error | null | undefined) => void): void;
}

/** `operations`: which there are, by name. */
export type FuseClass = new (mountpoint: string, operations: Readonly<Record<string, true>>, options: { readonly timeout: false }) => FuseMount;

export class DriverUnavailableError extends Error {
  readonly code = 'EUNSUPPORTED';

  constructor(reason: string) {
    super(`the driver ${packageName} cannot be used here (${reason}); mount without --driver, or install it: npm install ${packageName}@2.2.6`);
    this.name = 'DriverUnavailableError';
  }
}

/** Throws DriverUnavailableError. */
export function loadFuseNative(): FuseClass {
  try {
    return createRequire(import.meta.url)(packageName) as FuseClass;
  } catch (error) {
    const reason = (error as { readonly code?: unknown }).code === 'MODULE_NOT_FOUND' ? 'it is not installed' : messageOf(error).split('\n', 1)[0] ?? '';
    throw new DriverUnavailableError(reason);
  }
}
