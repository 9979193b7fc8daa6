/**
 * The daemon's end of the control socket: reads requests (protocol.ts), checks them, hands them to their handlers, writes
 * what they answer. Who may connect is decided by the socket's mode: its owner and root.
 *
 * Invariants:
 * 1. A request that cannot be read, or is too long, ends its connection and harms no other.
 * 2. What a connection has begun (a held transaction, a watch) ends with it: see `onClose`.
 * 3. Items wait while the reader is slow; they do not pile up in memory.
 */
import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { codeOf } from './errors.js';
import { LineSplitter } from './lines.js';
import { longestRequestBytes } from './protocol.js';
import type { Answers, Method, Request } from './protocol.js';
import { requestSchema } from './request-schema.js';

/** How long a client may take to read what was sent to it before the end. */
const longestFarewellMs = 1000;

/** One connection, as a handler sees it. */
export interface Connection {
  /** Sends an item of the request being answered; resolves when there is room for the next. */
  emit(requestId: number, item: unknown): Promise<void>;
  /** Called once when the connection has ended. */
  onClose(action: () => void): void;
  readonly isOpen: boolean;
}

export type Handlers = {
  readonly [M in Method]: (request: Extract<Request, { method: M }>, connection: Connection) => Promise<Answers[M]['reply']>;
};

export class ControlServer {
  readonly #handlers: Handlers;
  readonly #onInternalError: (error: unknown) => void;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Answers under way, but for those that end only with their connection. */
  readonly #answering = new Set<Promise<void>>();

  constructor(handlers: Handlers, onInternalError: (error: unknown) => void) {
    this.#handlers = handlers;
    this.#onInternalError = onInternalError;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** Begins to listen; a socket left there by a dead daemon is replaced. The caller holds the volume's lock, so there is no living one. */
  async listen(path: string): Promise<void> {
    rmSync(path, { force: true });
    this.#server.listen(path);
    await once(this.#server, 'listening');
    chmodSync(path, 0o600);
  }

  /** Stops listening and ends all connections once what was written to them is sent; resolves when they are, or after a second. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const deadline = setTimeout(() => this.#sockets.forEach((socket) => socket.destroy()), longestFarewellMs);
    await Promise.race([Promise.all(this.#answering), closed]);
    for (const socket of this.#sockets) socket.end();
    await closed;
    clearTimeout(deadline);
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const closeActions: (() => void)[] = [];
    let isOpen = true;
    const connection: Connection = {
      emit: async (requestId, item) => {
        if (!socket.write(`${JSON.stringify({ id: requestId, item })}\n`) && !socket.destroyed) await drained(socket);
      },
      onClose: (action) => (isOpen ? closeActions.push(action) : action()),
      get isOpen() {
        return isOpen;
      },
    };
    const splitter = new LineSplitter(longestRequestBytes, (line) => this.#take(line, socket, connection));
    socket.on('data', (chunk: Buffer) => {
      try {
        splitter.push(chunk);
      } catch {
        socket.destroy();
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      isOpen = false;
      this.#sockets.delete(socket);
      for (const action of closeActions) action();
    });
  }

  #take(line: string, socket: Socket, connection: Connection): void {
    const request = parseRequest(line);
    if (request === undefined) {
      socket.destroy();
      return;
    }
    const answer = this.#answer(request, socket, connection);
    if (request.method === 'watch') return;
    this.#answering.add(answer);
    void answer.finally(() => this.#answering.delete(answer));
  }

  async #answer(request: Request, socket: Socket, connection: Connection): Promise<void> {
    let answer: object;
    try {
      // The table is typed by method; TypeScript cannot follow that through a union.
      const handler = this.#handlers[request.method] as (request: Request, connection: Connection) => Promise<unknown>;
      answer = { id: request.id, reply: await handler(request, connection) };
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) this.#onInternalError(error);
      answer = { id: request.id, error: { code: code ?? 'EINTERNAL', message: error instanceof Error ? error.message : String(error) } };
    }
    if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`);
  }
}

function parseRequest(line: string): Request | undefined {
  try {
    const parsed = requestSchema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Resolves when the socket can take more, or has ended. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}
