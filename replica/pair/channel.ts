/**
 * What the two sides of a connection need of it: a port, which Link (link.ts) is over TLS and a simulation without a network.
 *
 * Invariants:
 * 1. Frames come in the order in which they were sent, whole, until the connection ends; then `receive` gives undefined or throws.
 */
import type { Frame } from './frame.js';

export interface Channel {
  /** SHA-256 of the certificate that the other side showed; undefined when it showed none. */
  readonly fingerprint: string | undefined;
  /** Whether that certificate holds now. */
  readonly isValid: boolean;
  readonly remoteHost: string;
  readonly isOpen: boolean;
  /** Bytes of frames, both ways. */
  readonly received: number;
  readonly sent: number;
  /** Resolves when there is room again. Throws when the connection has ended. */
  send(frame: Buffer): Promise<void>;
  receive(): Promise<Frame | undefined>;
  /** Says one last thing and ends the connection. */
  close(last?: Buffer): void;
}
