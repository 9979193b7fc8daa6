/**
 * Where a backup goes, as configured (open-place.ts opens it).
 *
 * Invariants:
 * 1. A password is never part of a place: it is read from where the place says, when it is needed, by the process that needs it.
 */

export interface DirectoryPlace {
  readonly kind: 'directory';
  readonly path: string;
}

/** Where a password is; undefined: in the keyring file. */
export interface PasswordSource {
  readonly file?: string | undefined;
  readonly environment?: string | undefined;
}

export interface FtpPlace {
  readonly kind: 'ftp';
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** As the server has it, from its root or (without a leading slash) from where a login leads. */
  readonly path: string;
  /** explicit: TLS is asked for; implicit: from the first byte; none: clear text, password included. */
  readonly security: 'explicit' | 'implicit' | 'none';
  /** A file of certificates to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** SHA-256 of the server's certificate, hexadecimal: it and no other is trusted. */
  readonly pin?: string | undefined;
  readonly password: PasswordSource;
  readonly connections: number;
}

/** A bucket, or a part of one, of any store that speaks S3. */
export interface S3Place {
  readonly kind: 's3';
  readonly bucket: string;
  /** What all names begin with, without a slash at its ends; "" for the whole bucket. */
  readonly prefix: string;
  /** https://host:port; http:// only where clear text was asked for. */
  readonly endpoint: string;
  readonly region: string;
  /** The bucket's name stands in the path, not in the host's name. */
  readonly pathStyle: boolean;
  readonly ca?: string | undefined;
  readonly pin?: string | undefined;
  /** Of the access key and the secret key, divided by a space. */
  readonly password: PasswordSource;
  /** Requests at once. */
  readonly connections: number;
}

/** Where files lie as files. */
export type TreePlace = DirectoryPlace | FtpPlace;
export type Place = TreePlace | S3Place;

/** For people and for messages; a password is not in it. */
export function placeText(place: Place): string {
  if (place.kind === 'directory') return place.path;
  if (place.kind === 's3') return `s3://${place.bucket}${place.prefix === '' ? '' : `/${place.prefix}`} (${new URL(place.endpoint).host})`;
  const scheme = place.security === 'none' ? 'ftp' : 'ftps';
  const port = place.port === (place.security === 'implicit' ? 990 : 21) ? '' : `:${place.port}`;
  return `${scheme}://${place.user}@${place.host.includes(':') ? `[${place.host}]` : place.host}${port}${place.path.startsWith('/') ? '' : '/'}${place.path}`;
}
