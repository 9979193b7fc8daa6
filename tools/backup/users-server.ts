/**
 * The socket that every user may connect to, to list and restore from backups what he may read. Root's daemons alone have one. In: connections. Out: a process for each (session-process.ts), which is told who connected.
 *
 * Invariants:
 * 1. Who he is says the kernel, nothing that he sends.
 * 2. So many processes at once and no more, and none for longer than an hour: others are told to come later.
 */
import { spawn } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { loadFileCalls } from '../../engine/native.js';
import type { FileCalls } from '../../engine/native.js';
import type { SessionOrder } from './session.js';

const mostSessions = 8;
const longestMs = 3_600_000;

export class UsersServer {
  readonly #server: Server;
  readonly #path: string;
  readonly #order: () => Omit<SessionOrder, 'reader'>;
  readonly #files: FileCalls;
  readonly #logger: Logger;
  #sessions = 0;

  private constructor(path: string, order: () => Omit<SessionOrder, 'reader'>, files: FileCalls, logger: Logger) {
    this.#path = path;
    this.#order = order;
    this.#files = files;
    this.#logger = logger;
    // What he sends is read by the process that gets the connection.
    this.#server = createServer({ pauseOnConnect: true }, (socket) => { this.#serve(socket); });
  }

  static async listen(path: string, order: () => Omit<SessionOrder, 'reader'>, logger: Logger): Promise<UsersServer> {
    const users = new UsersServer(path, order, await loadFileCalls(), logger);
    rmSync(path, { force: true });
    users.#server.listen(path);
    await once(users.#server, 'listening');
    chmodSync(path, 0o666);
    return users;
  }

  /** Sessions that are under way go on until their users have what they asked for, or the daemon ends. */
  close(): void {
    this.#server.close();
    rmSync(this.#path, { force: true });
  }

  #serve(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#sessions >= mostSessions) {
      socket.end(`${JSON.stringify({ error: 'too many users are restoring at this moment; try again later' })}\n`);
      return;
    }
    let reader: SessionOrder['reader'];
    try {
      reader = this.#files.peerOf(descriptorOf(socket));
    } catch (error) {
      this.#logger.error(error, 'a user could not be told');
      socket.destroy();
      return;
    }
    this.#sessions++;
    const child = spawn(process.execPath, [fileURLToPath(new URL('./session-process.js', import.meta.url))], { cwd: '/', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const timer = setTimeout(() => { child.kill('SIGKILL'); }, longestMs).unref();
    let hasEnded = false;
    const ended = (): void => {
      if (hasEnded) return;
      hasEnded = true;
      clearTimeout(timer);
      this.#sessions--;
      socket.destroy();
    };
    child.on('error', ended).on('close', ended);
    child.send({ ...this.#order(), reader } satisfies SessionOrder, socket);
  }
}

/** Node has no public way to it. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } };
  if (handle?.fd === undefined || handle.fd < 0) throw new Error('the connection has no descriptor');
  return handle.fd;
}
