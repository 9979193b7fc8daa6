/**
 * The operations of libfuse 2, by path, as calls of the addon: one method for each, named and called as fuse-native's layer of C expects it. In: paths and numbers. Out: one signal
 * each.
 *
 * Invariants:
 * 1. Every operation is signalled exactly once, and memory that came with it is not touched afterwards.
 * 2. A name that is not UTF-8 reaches us with replacement characters in it: it does not exist, and cannot be made (EILSEQ).
 * 3. A handle's node is held from its opening to its release.
 * 4. What is deleted while it is open is deleted at once, as on every mount: the name under which libfuse goes on to ask for it is in no directory.
 */
import { isUtf8 } from 'node:buffer';
import { constants as fileConstants } from 'node:fs';
import { constants } from 'node:os';
import type { CallRequest, CallSession } from '../../native/call-types.js';
import { listedStatOf, statOf, statvfsOf } from './fuse-native-answers.js';
import type { Signal } from './fuse-native-package.js';
import { Handles } from './handles.js';
import type { Handle } from './handles.js';
import * as wire from './kernel-wire.js';

const { errno } = constants;
const listingBytes = 128 * 1024;
const closeMs = 500;
const lookAgainMs = 5;
const replaced = '\uFFFD';
/** As libfuse makes it up. */
const hiddenName = /^\.fuse_hidden[0-9a-f]{16}$/;
const empty = Buffer.alloc(0);

/** Where a name stands. */
interface Place {
  readonly directory: Buffer;
  readonly name: Buffer;
}

type Then = (answer: Buffer, node: bigint, length: number) => void;

export class FuseNativeOperations {
  readonly #session: Pick<CallSession, 'call'>;
  readonly #handles = new Handles();
  /** Deleted files that are open still, by the names that libfuse gave them: their nodes, which are held. */
  readonly #hidden = new Map<string, bigint>();

  constructor(session: Pick<CallSession, 'call'>) {
    this.#session = session;
  }

  statfs(signal: Signal): void {
    this.#ask(signal, { opcode: wire.opcode.statfs, path: empty, body: empty }, (answer) => signal(0, statvfsOf(wire.sizesOf(answer))));
  }

  getattr(signal: Signal, path: string): void {
    if (path.includes(replaced)) return signal(-errno.ENOENT);
    this.#ask(signal, { opcode: wire.opcode.getattr, ...this.#at(path), body: wire.getattrIn() }, (answer) => signal(0, statOf(wire.attributesOf(answer))));
  }

  fgetattr(signal: Signal, path: string, number: number): void {
    const handle = this.#handles.get(number);
    if (handle === undefined) return this.getattr(signal, path);
    this.#ask(signal, { opcode: wire.opcode.getattr, node: handle.node, body: wire.getattrIn(handle.kernels) }, (answer) => signal(0, statOf(wire.attributesOf(answer))));
  }

  readlink(signal: Signal, path: string): void {
    this.#ask(signal, { opcode: wire.opcode.readlink, ...this.#at(path), body: empty }, (target) => {
      if (isUtf8(target)) signal(0, target.toString());
      else signal(-errno.EILSEQ);
    });
  }

  chmod(signal: Signal, path: string, mode: number): void {
    this.#change(signal, path, { mode });
  }

  /** 0xffffffff: stays. */
  chown(signal: Signal, path: string, uid: number, gid: number): void {
    const stays = 0xffff_ffff;
    this.#change(signal, path, { ...(uid === stays ? {} : { uid }), ...(gid === stays ? {} : { gid }) });
  }

  truncate(signal: Signal, path: string, low: number, high: number): void {
    this.#change(signal, path, { size: wide(low, high) });
  }

  ftruncate(signal: Signal, path: string, number: number, low: number, high: number): void {
    const handle = this.#handles.get(number);
    if (handle === undefined) return this.truncate(signal, path, low, high);
    this.#ask(signal, { opcode: wire.opcode.setattr, node: handle.node, body: wire.setattrIn({ size: wide(low, high), handle: handle.kernels }) }, () => signal(0));
  }

  utimens(signal: Signal, path: string, times: { readonly atimeMs: bigint; readonly mtimeMs: bigint }): void {
    this.#change(signal, path, { times });
  }

  mknod(signal: Signal, path: string, mode: number, device: number): void {
    this.#make(signal, path, (name) => ({ opcode: wire.opcode.mknod, body: Buffer.concat([wire.words(mode, device, 0, 0), wire.names(name)]) }));
  }

  mkdir(signal: Signal, path: string, mode: number): void {
    this.#make(signal, path, (name) => ({ opcode: wire.opcode.mkdir, body: Buffer.concat([wire.words(mode, 0), wire.names(name)]) }));
  }

  symlink(signal: Signal, target: string, path: string): void {
    if (target.includes(replaced)) return signal(-errno.EILSEQ);
    this.#make(signal, path, (name) => ({ opcode: wire.opcode.symlink, body: wire.names(name, Buffer.from(target)) }));
  }

  link(signal: Signal, source: string, path: string): void {
    this.#make(signal, path, (name) => ({ opcode: wire.opcode.link, otherPath: pathBytes(source), body: wire.withOther(name) }));
  }

  unlink(signal: Signal, path: string): void {
    const hidden = this.#hidden.get(path);
    if (hidden !== undefined) {
      this.#hidden.delete(path);
      return this.#forget(hidden, () => signal(0));
    }
    this.#make(signal, path, (name) => ({ opcode: wire.opcode.unlink, body: wire.names(name) }));
  }

  rmdir(signal: Signal, path: string, untilMs = performance.now() + closeMs): void {
    // Without the directory libfuse would not find what is open in it. Much of that has just been closed, which the kernel tells a moment later.
    if ([...this.#hidden.keys()].some((hidden) => hidden.startsWith(`${path}/`))) {
      if (performance.now() >= untilMs) return signal(-errno.ENOTEMPTY);
      return void setTimeout(() => { this.rmdir(signal, path, untilMs); }, lookAgainMs);
    }
    this.#make(signal, path, (name) => ({ opcode: wire.opcode.rmdir, body: wire.names(name) }));
  }

  rename(signal: Signal, source: string, path: string): void {
    if (path.includes(replaced)) return signal(-errno.EILSEQ);
    const target = placeOf(path);
    if (hiddenName.test(target.name.toString())) return this.#hide(signal, source, path);
    this.#make(signal, source, (name) => ({ opcode: wire.opcode.rename, otherPath: target.directory, body: wire.withOther(name, target.name) }));
  }

  open(signal: Signal, path: string, flags: number): void {
    this.#ask(signal, { opcode: wire.opcode.open, ...this.#at(path), body: wire.words(flags, 0), holds: true }, (answer, node) => {
      signal(0, this.#handles.add({ node, kernels: wire.handleOf(answer) }));
    });
  }

  create(signal: Signal, path: string, mode: number): void {
    if (path.includes(replaced)) return signal(-errno.EILSEQ);
    const { directory, name } = placeOf(path);
    // With which flags is not told: whoever may not write is stopped by the kernel.
    const body = Buffer.concat([wire.words(fileConstants.O_RDWR, mode, 0, 0), wire.names(name)]);
    this.#ask(signal, { opcode: wire.opcode.create, path: directory, body, holds: true }, (answer, node) => {
      signal(0, this.#handles.add({ node, kernels: wire.handleOf(answer, wire.entryLength) }));
    });
  }

  release(signal: Signal, _path: string, number: number): void {
    const handle = this.#handles.remove(number);
    if (handle === undefined) return signal(-errno.EBADF);
    this.#release(handle, wire.opcode.release, (error) => signal(-error));
  }

  read(signal: Signal, _path: string, number: number, target: Buffer, length: number, low: number, high: number): void {
    const handle = this.#handles.get(number);
    if (handle === undefined) return signal(-errno.EBADF, 0, target.buffer);
    const body = wire.rangeIn(handle.kernels, wide(low, high), length);
    this.#session.call({ opcode: wire.opcode.read, node: handle.node, body, target }, (error, count) => signal(error === 0 ? count : -error, 0, target.buffer));
  }

  write(signal: Signal, _path: string, number: number, data: Buffer, length: number, low: number, high: number): void {
    const handle = this.#handles.get(number);
    if (handle === undefined) return signal(-errno.EBADF, 0, data.buffer);
    const body = wire.rangeIn(handle.kernels, wide(low, high), length);
    this.#session.call({ opcode: wire.opcode.write, node: handle.node, body, data }, (error, _count, answer) => {
      signal(error === 0 && answer !== undefined ? wire.lengthOf(answer) : -error, 0, data.buffer);
    });
  }

  fsync(signal: Signal, _path: string, dataOnly: number, number: number): void {
    const handle = this.#handles.get(number);
    if (handle === undefined) return signal(-errno.EBADF);
    this.#ask(signal, { opcode: wire.opcode.fsync, node: handle.node, body: wire.fsyncIn(handle.kernels, dataOnly !== 0) }, () => signal(0));
  }

  fsyncdir(signal: Signal, path: string, dataOnly: number): void {
    this.#inDirectory(signal, path, (handle, done) => {
      this.#session.call({ opcode: wire.opcode.fsyncdir, node: handle.node, body: wire.fsyncIn(handle.kernels, dataOnly !== 0) }, (error) => done(() => signal(-error)));
    });
  }

  readdir(signal: Signal, path: string): void {
    this.#inDirectory(signal, path, (handle, done) => {
      const entries: wire.DirectoryEntry[] = [];
      const more = (offset: bigint): void => {
        this.#session.call({ opcode: wire.opcode.readdir, node: handle.node, body: wire.rangeIn(handle.kernels, offset, listingBytes) }, (error, _length, answer) => {
          if (answer === undefined) return done(() => signal(-error));
          const read = wire.entriesOf(answer);
          entries.push(...read.filter(({ name }) => isUtf8(name)));
          const last = read.at(-1);
          if (last !== undefined) more(last.next);
          else done(() => signal(0, entries.map(({ name }) => name.toString()), entries.map(listedStatOf)));
        });
      };
      more(0n);
    });
  }

  /** `position` is of macOS's resource forks, which are not here. */
  setxattr(signal: Signal, path: string, name: string, value: Buffer, _position: number, flags: number): void {
    const body = Buffer.concat([wire.words(value.length, flags), wire.names(Buffer.from(name)), value]);
    this.#session.call({ opcode: wire.opcode.setxattr, ...this.#at(path), body }, (error) => signal(-error, value.buffer));
  }

  getxattr(signal: Signal, path: string, name: string, target: Buffer): void {
    this.#attribute(signal, target, { opcode: wire.opcode.getxattr, ...this.#at(path), body: Buffer.concat([wire.words(target.length, 0), wire.names(Buffer.from(name))]) });
  }

  listxattr(signal: Signal, path: string, target: Buffer): void {
    this.#attribute(signal, target, { opcode: wire.opcode.listxattr, ...this.#at(path), body: wire.words(target.length, 0) });
  }

  removexattr(signal: Signal, path: string, name: string): void {
    this.#ask(signal, { opcode: wire.opcode.removexattr, ...this.#at(path), body: wire.names(Buffer.from(name)) }, () => signal(0));
  }

  /** libfuse renames a file that is to be removed, or replaced, while it is open, and removes it when it is closed. The core knows how to delete what is open. */
  #hide(signal: Signal, source: string, path: string): void {
    this.#ask(signal, { opcode: wire.opcode.getattr, ...this.#at(source), body: wire.getattrIn(), holds: true }, (_answer, node) => {
      const { directory, name } = placeOf(source);
      this.#session.call({ opcode: wire.opcode.unlink, path: directory, body: wire.names(name) }, (error) => {
        if (error !== 0) return this.#forget(node, () => signal(-error));
        this.#hidden.set(path, node);
        signal(0);
      });
    });
  }

  /** Without room it is the length that is asked for. */
  #attribute(signal: Signal, target: Buffer, request: CallRequest): void {
    this.#session.call(request, (error, length, answer) => {
      if (answer === undefined) return signal(-error, target.buffer);
      if (target.length > 0) answer.copy(target);
      signal(target.length > 0 ? length : wire.lengthOf(answer), target.buffer);
    });
  }

  #change(signal: Signal, path: string, change: wire.AttributeChange): void {
    this.#ask(signal, { opcode: wire.opcode.setattr, ...this.#at(path), body: wire.setattrIn(change) }, () => signal(0));
  }

  /** What is about a name in a directory. */
  #make(signal: Signal, path: string, request: (name: Buffer) => CallRequest): void {
    if (path.includes(replaced)) return signal(-errno.EILSEQ);
    const { directory, name } = placeOf(path);
    this.#ask(signal, { path: directory, ...request(name) }, () => signal(0));
  }

  /** Opens a directory; `use` must end with `done`, which closes it and then calls what it is given. */
  #inDirectory(signal: Signal, path: string, use: (handle: Handle, done: (then: () => void) => void) => void): void {
    this.#ask(signal, { opcode: wire.opcode.opendir, ...this.#at(path), body: wire.words(0, 0), holds: true }, (answer, node) => {
      const handle = { node, kernels: wire.handleOf(answer) };
      use(handle, (then) => this.#release(handle, wire.opcode.releasedir, then));
    });
  }

  #release(handle: Handle, opcode: number, then: (error: number) => void): void {
    this.#session.call({ opcode, node: handle.node, body: wire.releaseIn(handle.kernels) }, (error) => this.#forget(handle.node, () => then(error)));
  }

  #forget(node: bigint, then: () => void): void {
    this.#session.call({ opcode: wire.opcode.forget, node, body: empty }, then);
  }

  /** What a request by path is about. */
  #at(path: string): Pick<CallRequest, 'node' | 'path'> {
    const hidden = this.#hidden.get(path);
    return hidden === undefined ? { path: pathBytes(path) } : { node: hidden };
  }

  #ask(signal: Signal, request: CallRequest, then: Then): void {
    this.#session.call(request, (error, length, answer, node) => {
      if (error !== 0 || answer === undefined) signal(-error);
      else then(answer, node, length);
    });
  }
}

/** As the addon takes a path. */
function pathBytes(path: string): Buffer {
  return Buffer.from(path.slice(1));
}

function placeOf(path: string): Place {
  const end = path.lastIndexOf('/');
  return { directory: Buffer.from(path.slice(1, Math.max(end, 1))), name: Buffer.from(path.slice(end + 1)) };
}

function wide(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
