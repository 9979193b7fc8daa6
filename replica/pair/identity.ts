/**
 * Who a node is to its peers: a key and a certificate of its own, made at pairing, known by its fingerprint. In: the directory `pair`. Out: what TLS takes.
 *
 * Node makes keys but no certificates; `openssl`, which every Debian with TLS has, does.
 *
 * Invariants:
 * 1. The key is readable by its owner alone, from its first byte on.
 * 2. Certificate and key always belong together: both are in one file, which is replaced whole.
 */
import { execFile } from 'node:child_process';
import { X509Certificate, createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { VolumeError, codeOf, messageOf, syncDirectory } from '../../engine/index.js';

export interface Identity {
  /** PEM, both in one. */
  readonly pem: string;
  /** SHA-256 of the certificate, 64 hex digits. */
  readonly fingerprint: string;
  readonly validUntilMs: number;
}

const fileName = 'identity.pem';
const validDays = 3650;

/** The identity that is there; undefined when none has been made. Throws VolumeError EFORMAT. */
export function readIdentity(directory: string): Identity | undefined {
  let pem: string;
  try {
    pem = readFileSync(join(directory, fileName), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const certificate = new X509Certificate(pem);
    return { pem, fingerprint: fingerprintOf(certificate.raw), validUntilMs: Date.parse(certificate.validTo) };
  } catch (error) {
    throw new VolumeError('EFORMAT', `the certificate of the pair cannot be read (${messageOf(error)}); run "tidemark pair leave" and pair anew`);
  }
}

/** Makes a key and a certificate, in the place of those that are there. Throws VolumeError when openssl is not to be had. */
export async function makeIdentity(directory: string, node: string): Promise<Identity> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const fresh = join(directory, `${fileName}.new`);
  try {
    // Both come through a pipe: what is in the store has no path that another process could use. (What Node gives as standard output is a socket, which openssl cannot open.)
    const { stdout } = await promisify(execFile)('sh', ['-c', 'openssl "$@" | cat', 'sh',
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-sha256', '-days', String(validDays), '-subj', `/CN=tidemark-${node}`,
      '-keyout', '/dev/stdout', '-out', '/dev/stdout',
    ], { cwd: '/' });
    if (!stdout.includes('BEGIN CERTIFICATE') || !stdout.includes('PRIVATE KEY')) throw new Error('openssl gave none');
    rmSync(fresh, { force: true });
    writeFileSync(fresh, stdout, { mode: 0o600, flush: true });
    renameSync(fresh, join(directory, fileName));
  } catch (error) {
    throw new VolumeError('EUNSUPPORTED', `no certificate could be made (${messageOf(error).split('\n', 1)[0] ?? ''}); install openssl and try again`);
  }
  syncDirectory(directory);
  return readIdentity(directory)!;
}

export function fingerprintOf(certificate: Buffer): string {
  return createHash('sha256').update(certificate).digest('hex');
}

export function newToken(): string {
  return randomBytes(24).toString('base64url');
}

export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

export function newNode(): string {
  return randomBytes(8).toString('hex');
}
