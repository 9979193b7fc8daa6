/**
 * Serves what `tidemark metrics` prints to Prometheus: GET /metrics by HTTP. In: how the volume stands. Out: text.
 *
 * Invariants:
 * 1. It listens before the volume is opened and answers 503 until there is something to tell.
 * 2. All it needs is loaded before the mount stands.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { VolumeError, codeOf, messageOf } from '../engine/errors.js';
import type { Listen } from './arguments.js';
import type { StatusReply } from './protocol.js';

const connectionsMax = 16;
const requestTimeoutMs = 10_000;
const contentType = 'text/plain; version=0.0.4; charset=utf-8';

type Exposition = (volumes: readonly StatusReply[]) => Promise<string>;

export class MetricsServer {
  readonly #exposition: Exposition;
  #status: (() => Promise<StatusReply>) | undefined;

  /** Throws VolumeError with the remedy when it cannot listen there. */
  static async listen(listen: Listen): Promise<MetricsServer> {
    // Loaded here: who asks for no metrics needs no memory for them.
    const { exposition } = await import('./exposition.js');
    const metrics = new MetricsServer(exposition);
    const server = createServer({ requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs }, (request, response) => void metrics.#answer(request, response));
    server.maxConnections = connectionsMax;
    await listening(server, listen);
    // Whoever keeps a connection open must not keep the daemon.
    server.unref();
    return metrics;
  }

  private constructor(exposition: Exposition) {
    this.#exposition = exposition;
  }

  /** From now on it tells this. */
  serve(status: () => Promise<StatusReply>): void {
    this.#status = status;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0];
    if (path !== '/metrics') return refuse(response, 404, 'what there is, is at /metrics');
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'only GET');
    if (this.#status === undefined) return refuse(response, 503, 'the volume is being opened');
    try {
      const text = await this.#exposition([await this.#status()]);
      response.writeHead(200, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }).end(text);
    } catch (error) {
      refuse(response, 500, messageOf(error));
    }
  }
}

async function listening(server: Server, { address, port }: Listen): Promise<void> {
  try {
    server.listen({ host: address, port, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    const code = codeOf(error);
    const what = `cannot serve metrics at ${address} port ${port}`;
    if (code === 'EADDRINUSE') throw new VolumeError('EINVAL', `${what}: the port is taken; choose another with --metrics-listen`);
    if (code === 'EADDRNOTAVAIL') throw new VolumeError('EINVAL', `${what}: this machine has no such address; choose another with --metrics-listen`);
    if (code === 'EACCES') throw new VolumeError('EACCES', `${what}: only root may listen there; choose a port from 1024 with --metrics-listen`);
    throw new VolumeError('EINVAL', `${what} (${messageOf(error)}); choose another with --metrics-listen`);
  }
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${why}\n`);
}
