/**
 * The options that belong to a destination, and those of them by which a server is reached and believed: where its password is, which certificate is trusted. In: options. Out: a part of a place.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { FtpPlace } from '../../replica/place.js';
import { CommandError, UsageError } from '../errors.js';

export interface DestinationOptions {
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
  readonly ca?: string;
  readonly pin?: string;
  readonly tls?: 'explicit' | 'implicit';
  readonly clearText?: true;
  readonly connections?: number;
  readonly endpoint?: string;
  readonly region?: string;
  readonly pathStyle?: true;
}

const defaultConnections = 4;

/** Throws UsageError, CommandError. */
export function accessOf({ ca, pin, passwordFile, passwordEnv, connections }: DestinationOptions): Pick<FtpPlace, 'ca' | 'pin' | 'password' | 'connections'> {
  if (passwordFile !== undefined && passwordEnv !== undefined) throw new UsageError('one of --password-file and --password-env is enough');
  return {
    ...(ca === undefined ? {} : { ca: certificateFile(ca) }), ...(pin === undefined ? {} : { pin: fingerprint(pin) }),
    password: { ...(passwordFile === undefined ? {} : { file: resolve(passwordFile) }), ...(passwordEnv === undefined ? {} : { environment: passwordEnv }) },
    connections: connections ?? defaultConnections,
  };
}

function certificateFile(file: string): string {
  const path = resolve(file);
  if (!existsSync(path)) throw new CommandError(`${path} does not exist`, 'name the file of the certificates to trust');
  try {
    void new X509Certificate(readFileSync(path));
  } catch {
    throw new CommandError(`${path} is no certificate`, 'name a file in PEM form (-----BEGIN CERTIFICATE-----)');
  }
  return path;
}

function fingerprint(text: string): string {
  const digits = text.replace(/^sha256:/i, '').replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(digits)) throw new UsageError('--pin is the SHA-256 of the certificate in hexadecimal, as `openssl x509 -noout -fingerprint -sha256` prints it');
  return digits;
}
