/**
 * The client library of S3, set up for a place: TLS with its certificate checked, keys. In: a place. Out: a client.
 *
 * Invariants:
 * 1. Keys are used to sign and never sent; but nothing at all goes to anybody whose certificate has not been checked, unless clear text was asked for.
 * 2. Each body that is sent is signed with its SHA-256, so the store refuses what was changed on the way.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { once } from 'node:events';
import { Agent as ClearAgent } from 'node:http';
import { Agent } from 'node:https';
import { connect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { S3Client } from '@aws-sdk/client-s3';
import { keysOf } from '../password.js';
import { trustPinned } from '../pinned.js';
import { placeText } from '../place.js';
import type { S3Place } from '../place.js';

/** For a connection that stands still. TIDEMARK_S3_TIMEOUT_MS is for tests. */
const timeoutMs = Number(process.env['TIDEMARK_S3_TIMEOUT_MS'] ?? 60_000);
const mostAttempts = 4;

export type Library = typeof import('@aws-sdk/client-s3');

/** It is large, and needed by nobody else. */
export async function loadLibrary(): Promise<Library> {
  // It would tell of the versions of Node that it will want one day, on standard error.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  return import('@aws-sdk/client-s3');
}

/** Throws DestinationError, or what the connection says. */
export async function makeClient({ S3Client: Client }: Library, place: S3Place): Promise<S3Client> {
  const credentials = keysOf(place);
  const isClear = place.endpoint.startsWith('http:');
  const agent = { keepAlive: true, maxSockets: place.connections, noDelay: true };
  const client = new Client({
    endpoint: place.endpoint, region: place.region, forcePathStyle: place.pathStyle, credentials, maxAttempts: mostAttempts,
    // The signature has the SHA-256 of each body; a checksum of the library's beside it is more than many stores know.
    requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: timeoutMs, socketTimeout: timeoutMs,
      ...(isClear ? { httpAgent: new ClearAgent(agent) } : { httpsAgent: new Agent({ ...agent, ...await tlsOptions(place) }) }),
    },
  });
  return client;
}

async function tlsOptions(place: S3Place): Promise<ConnectionOptions> {
  const { ca, pin, endpoint } = place;
  if (pin !== undefined) {
    const { hostname, port } = new URL(endpoint);
    const host = hostname.replace(/^\[|\]$/g, '');
    // Looked at once, before anything is said; from then on it is the only one that is trusted.
    const socket = connect({ host, port: port === '' ? 443 : Number(port), rejectUnauthorized: false, timeout: timeoutMs, ...(isIP(host) === 0 ? { servername: host } : {}) });
    socket.once('timeout', () => { socket.destroy(new Error(`no answer for ${timeoutMs / 1000} seconds`)); });
    try {
      await once(socket, 'secureConnect');
      return { minVersion: 'TLSv1.2', ...trustPinned(socket.getPeerCertificate(), pin, placeText(place), 'a connection') };
    } finally {
      socket.destroy();
    }
  }
  return { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca: readFileSync(ca) }) };
}
