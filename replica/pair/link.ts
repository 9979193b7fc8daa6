/**
 * One connection between two nodes: TLS 1.3 with certificates of both, frames in both directions. In: a socket, frames to send. Out: frames that came.
 *
 * Invariants:
 * 1. Who answers is known by the fingerprint of its certificate before anything is said to it.
 * 2. What waits to be sent is bounded: `send` resolves when there is room again.
 * 3. A side from which nothing comes for `silenceMs` is gone: the connection ends. Each side says something (PING) every `pingMs`.
 * 4. After the end `receive` gives undefined or throws, and nothing is sent any more.
 */
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { VolumeError } from '../../engine/index.js';
import type { Channel } from './channel.js';
import { FrameError, FrameReader, encodeFrame, frameType } from './frame.js';
import type { Frame } from './frame.js';
import { fingerprintOf } from './identity.js';
import type { Identity } from './identity.js';
import { formatAddress } from './invitation.js';
import type { Address } from './state.js';

export const pingMs = 2_000;
export const silenceMs = 10_000;
const connectMs = 10_000;
/** Frames that were read and that nobody has asked for yet. */
const mostWaiting = 64;

export const tlsOptions = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', rejectUnauthorized: false } as const;

export class Link implements Channel {
  readonly #socket: TLSSocket;
  readonly #reader = new FrameReader();
  readonly #frames: Frame[] = [];
  #wake: (() => void) | undefined;
  readonly #drained: (() => void)[] = [];
  #failure: Error | undefined;
  #ended = false;
  #heardMs = performance.now();
  #sentMs = 0;
  readonly #timer: NodeJS.Timeout;
  readonly remoteHost: string;
  /** Bytes of frames, both ways. */
  received = 0;
  sent = 0;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    // It has none any more when it has ended.
    this.remoteHost = withoutPrefix(socket.remoteAddress);
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => { this.#take(chunk); });
    socket.on('drain', () => { this.#letSend(); });
    socket.on('error', (error) => { this.#end(error); });
    socket.on('close', () => { this.#end(undefined); });
    socket.on('end', () => { this.#end(undefined); });
    this.#timer = setInterval(() => { this.#tick(); }, pingMs / 2);
  }

  /** SHA-256 of the certificate that the other side showed; undefined when it showed none. */
  get fingerprint(): string | undefined {
    const raw = this.#socket.getPeerCertificate().raw as Buffer | undefined;
    return raw === undefined ? undefined : fingerprintOf(raw);
  }

  /** Whether the certificate that the other side showed holds now. */
  get isValid(): boolean {
    const { valid_from: from, valid_to: to } = this.#socket.getPeerCertificate();
    return Date.parse(from) <= Date.now() + dayMs && Date.now() <= Date.parse(to);
  }

  get localHost(): string {
    return withoutPrefix(this.#socket.localAddress);
  }

  get isOpen(): boolean {
    return !this.#ended;
  }

  /** Bytes that have been sent and not been taken by the kernel yet. */
  get unsent(): number {
    return this.#socket.writableLength;
  }

  /** Throws when the connection has ended. */
  async send(frame: Buffer): Promise<void> {
    if (this.#ended) throw this.#failure ?? new VolumeError('EIO', 'the connection has ended');
    this.#sentMs = performance.now();
    this.sent += frame.length;
    if (!this.#socket.write(frame) && !this.#ended) await new Promise<void>((resolve) => { this.#drained.push(resolve); });
  }

  /** The next frame; undefined at the end. Throws FrameError for what is none, and what broke the connection. */
  async receive(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        if (this.#frames.length < mostWaiting / 2) this.#socket.resume();
        return frame;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }

  /** Says one last thing and ends the connection. */
  close(last?: Buffer): void {
    if (!this.#ended && last !== undefined) this.#socket.write(last);
    this.#socket.end();
    this.#end(undefined);
    setTimeout(() => { this.#socket.destroy(); }, 500).unref();
  }

  #take(chunk: Buffer): void {
    this.#heardMs = performance.now();
    this.received += chunk.length;
    this.#reader.push(chunk);
    try {
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
        if (frame.type === frameType.ping) this.#answer(frame);
        else if (frame.type !== frameType.pong) this.#frames.push(frame);
      }
    } catch (error) {
      this.#socket.destroy();
      this.#end(error instanceof Error ? error : new FrameError(String(error)));
    }
    if (this.#frames.length >= mostWaiting) this.#socket.pause();
    this.#wake?.();
  }

  #answer(ping: Frame): void {
    if (!this.#ended && this.#socket.writableLength === 0) this.#socket.write(encodeFrame(frameType.pong, ping.payload));
  }

  #tick(): void {
    const now = performance.now();
    if (this.#socket.isPaused()) this.#heardMs = now;
    if (now - this.#heardMs > silenceMs) {
      this.#socket.destroy();
      this.#end(new VolumeError('EIO', `nothing has come from ${this.remoteHost} for ${silenceMs / 1000} s`));
    } else if (now - this.#sentMs >= pingMs && this.#socket.writableLength === 0) {
      this.#sentMs = now;
      this.#socket.write(encodeFrame(frameType.ping, Buffer.alloc(0)));
    }
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = error;
    clearInterval(this.#timer);
    this.#letSend();
    this.#wake?.();
  }

  #letSend(): void {
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}

const dayMs = 86_400_000;

/** An IPv4 address as such, also where it came through IPv6. */
function withoutPrefix(address: string | undefined): string {
  return address?.replace(/^::ffff:/, '') ?? '';
}

/** Connects to a node that must show the certificate with this fingerprint. Throws VolumeError with the remedy. */
export async function dial(address: Address, identity: Identity, fingerprint: string): Promise<Link> {
  const socket = connectTls({ host: address.host, port: address.port, key: identity.pem, cert: identity.pem, ...tlsOptions });
  const timer = setTimeout(() => { socket.destroy(new VolumeError('EIO', `${formatAddress(address)} does not answer; check the address and the firewall`)); }, connectMs);
  try {
    await once(socket, 'secureConnect');
  } catch (error) {
    socket.destroy();
    if (error instanceof VolumeError) throw error;
    throw new VolumeError('EIO', `${formatAddress(address)} cannot be reached (${error instanceof Error ? error.message : String(error)}); check that the other node is mounted, its address and the firewall`);
  } finally {
    clearTimeout(timer);
  }
  const link = new Link(socket);
  if (link.fingerprint === fingerprint && link.isValid) return link;
  const what = link.fingerprint === fingerprint ? 'its certificate has expired; run "tidemark pair rotate" there' : 'it shows another certificate than the one that was agreed; if it was made anew on purpose, pair anew';
  link.close();
  throw new VolumeError('EACCES', `${formatAddress(address)} is not trusted: ${what}`);
}
