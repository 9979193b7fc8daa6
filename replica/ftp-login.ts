/**
 * Connects to an FTP server: TLS with its certificate checked, login, the way to the place. In: a place. Out: a client of basic-ftp that is logged in.
 *
 * Invariants:
 * 1. The password goes to nobody whose certificate has not been checked, unless clear text was asked for.
 * 2. With a pin, data connections are checked as the control connection is.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { Client, FTPError } from 'basic-ftp';
import { DestinationError } from './destination.js';
import { translateFtp } from './ftp-faults.js';
import { passwordOf } from './password.js';
import { trustPinned } from './pinned.js';
import { placeText } from './place.js';
import type { FtpPlace } from './place.js';

/** For an answer, and for a transfer that stands still. TIDEMARK_FTP_TIMEOUT_MS is for tests. */
const timeoutMs = Number(process.env['TIDEMARK_FTP_TIMEOUT_MS'] ?? 60_000);

export interface LoggedIn {
  readonly client: Client;
  /** The directory that the place names, absolute. */
  readonly base: string;
  readonly features: ReadonlyMap<string, string>;
}

/** Throws DestinationError. */
export async function logIn(place: FtpPlace): Promise<LoggedIn> {
  const password = passwordOf(place);
  const client = new Client(timeoutMs);
  const where = placeText(place);
  try {
    const tls = tlsOptions(place);
    if (place.security === 'implicit') await client.connectImplicitTLS(place.host, place.port, tls);
    else await client.connect(place.host, place.port);
    if (place.security === 'explicit') await askForTls(client, tls, where);
    if (place.pin !== undefined) pinCertificate(client, place.pin, where);
    await client.sendIgnoringError('OPTS UTF8 ON');
    await client.login(place.user, password);
    await client.useDefaultSettings();
    const features = await client.features();
    const home = await client.pwd();
    return { client, base: place.path === '' ? home : place.path.startsWith('/') ? place.path : `${home.replace(/\/$/, '')}/${place.path}`, features };
  } catch (error) {
    client.close();
    throw translateFtp(error, where);
  }
}

async function askForTls(client: Client, tls: ConnectionOptions, where: string): Promise<void> {
  try {
    await client.useTLS(tls);
  } catch (error) {
    if (!(error instanceof FTPError)) throw error;
    throw new DestinationError('untrusted', `${where} knows no TLS (${error.message}); if clear text will do, password included, say --clear-text`);
  }
}

function tlsOptions({ host, ca, pin }: FtpPlace): ConnectionOptions {
  return {
    host, minVersion: 'TLSv1.2', ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
    // Its fingerprint is compared instead, before anything else is said.
    ...(pin === undefined ? {} : { rejectUnauthorized: false }),
  };
}

function pinCertificate(client: Client, pin: string, where: string): void {
  const { socket } = client.ftp;
  if (!(socket instanceof TLSSocket)) throw new DestinationError('untrusted', `${where} speaks no TLS, so there is no certificate to compare with --pin`);
  // Data connections come later, and whatever answers there has to show the same certificate.
  client.ftp.tlsOptions = { ...client.ftp.tlsOptions, ...trustPinned(socket.getPeerCertificate(), pin, where, 'a data connection') };
}
