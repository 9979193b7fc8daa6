/**
 * The addon's surface for a mount that something else makes and reads the requests of: the operations of the live tree and of `.snapshots` as calls, each a request of the
 * kernel's FUSE protocol (linux/fuse.h, little-endian) that is answered as on a mount of our own. As in types.ts, with its errors.
 */
import type { MountOptions, Session } from './session-types.js';

/** One request. */
export interface CallRequest {
  /** FUSE_GETATTR … as numbers. */
  readonly opcode: number;
  /** What it is about: a node that a call before has held; */
  readonly node?: bigint;
  /** or what this path leads to, from the root, without a leading slash; "" for the root. Symlinks are not followed. */
  readonly path?: Uint8Array;
  /** Of RENAME and LINK: the other directory or file. Its node's number is put into the first 8 bytes of `body`. */
  readonly otherPath?: Uint8Array;
  /** The request's arguments, names included: all that follows the header. */
  readonly body: Uint8Array;
  /** Bytes behind `body`. Must not change until the call is done. */
  readonly data?: Uint8Array;
  /** Takes the answer (of READ). Must stay where it is until the call is done. */
  readonly target?: Uint8Array;
  /** The node that is opened or made is held, until a call of FORGET. */
  readonly holds?: boolean;
}

/**
 * Called once, in a later turn (or at once when the session has ended). `error`: 0 or an errno number. `length`: bytes of the answer; `answer`: these, unless they went into a
 * `target` or there was an error. `node`: what is held now, else 0.
 */
export type CallDone = (error: number, length: number, answer: Buffer | undefined, node: bigint) => void;

/** A session without a connection of its own. All calls act as the user of this process. */
export interface CallSession extends Session {
  call(request: CallRequest, done: CallDone): void;
  /** The mount at MountOptions.mountpoint stands, made by this process, and answers: when its connection ends, this session does. Throws ENOTCONN when there is none. */
  attach(): void;
  /** There will be no mount: the session ends. */
  abandon(): Promise<void>;
}

export interface ServeOptions extends MountOptions {
  /** Of the protocol whose requests the calls are: 7.`protocolMinor`. */
  readonly protocolMinor: number;
}
