/**
 * Where peers connect: a TLS server. In: an address, the node. Out: connections that are served.
 *
 * Invariants:
 * 1. Connections that say nothing are ended after some seconds, and there are never more than `connectionsMax`.
 * 2. What one connection does wrong ends that one.
 */
import { once } from 'node:events';
import { createServer } from 'node:tls';
import type { Server } from 'node:tls';
import { VolumeError, messageOf } from '../../engine/index.js';
import type { Identity } from './identity.js';
import { formatAddress } from './invitation.js';
import { Link, tlsOptions } from './link.js';
import type { Address } from './state.js';

const connectionsMax = 500;
const handshakeMs = 10_000;
const portsTried = 50;

export class Listener {
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly address: Address;

  private constructor(server: Server, address: Address) {
    this.#server = server;
    this.address = address;
  }

  /** `isFixed`: another port will not do. Throws VolumeError when the port is taken. */
  static async open(identity: Identity, wanted: Address, isFixed: boolean, onLink: (link: Link) => Promise<void>, say: (line: string) => void): Promise<Listener> {
    for (let port = wanted.port; ; port++) {
      const server = createServer({ key: identity.pem, cert: identity.pem, requestCert: true, ...tlsOptions, handshakeTimeout: handshakeMs });
      server.maxConnections = connectionsMax;
      try {
        server.listen(port, wanted.host);
        await once(server, 'listening');
      } catch (error) {
        if ((error as { code?: string }).code === 'EADDRINUSE' && !isFixed && port < wanted.port + portsTried) continue;
        throw new VolumeError('EIO', `cannot listen at ${formatAddress({ host: wanted.host, port })} (${messageOf(error)}); give another address with --listen`);
      }
      const listener = new Listener(server, { host: wanted.host, port });
      server.on('secureConnection', (socket) => { listener.#take(new Link(socket), onLink, say); });
      server.on('tlsClientError', () => undefined);
      return listener;
    }
  }

  /** Other certificates from now on, for those who connect then. */
  use(identity: Identity): void {
    this.#server.setSecureContext({ key: identity.pem, cert: identity.pem, ...tlsOptions });
  }

  close(): void {
    this.#server.close();
    for (const link of this.#links) link.close();
  }

  #take(link: Link, onLink: (link: Link) => Promise<void>, say: (line: string) => void): void {
    this.#links.add(link);
    onLink(link)
      .catch((error: unknown) => { say(`${link.remoteHost}: ${messageOf(error)}`); })
      .finally(() => {
        link.close();
        this.#links.delete(link);
      });
  }
}
