/**
 * Passwords: out of a file, a variable of the environment, or the keyring file. In: where. Out: the password, to whoever needs it now; it is kept nowhere else, and in no message.
 *
 * The keyring is `/etc/tidemark/keyring` for root, `~/.config/tidemark/keyring` for others (TIDEMARK_KEYRING names another file): a line `user@host password` for each, of S3 `bucket@host access-key secret-key`.
 *
 * Invariants:
 * 1. A file that others may read is refused.
 */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DestinationError } from './destination.js';
import type { FtpPlace, PasswordSource, S3Place } from './place.js';

/** Throws DestinationError denied. */
export function passwordOf({ user, host, password }: FtpPlace): string {
  if (user === 'anonymous' && password.file === undefined && password.environment === undefined) return 'anonymous@';
  return secretOf(`${user}@${host}`, 'password', 'PASSWORD', password);
}

/** The two keys of a bucket. Throws DestinationError denied. */
export function keysOf({ bucket, endpoint, password }: S3Place): { readonly accessKeyId: string; readonly secretAccessKey: string } {
  const whose = `${bucket}@${new URL(endpoint).hostname.replace(/^\[|\]$/g, '')}`;
  const [accessKeyId, secretAccessKey, ...more] = secretOf(whose, 'access key and the secret key', 'ACCESS-KEY SECRET-KEY', password).trim().split(/\s+/);
  if (accessKeyId === undefined || secretAccessKey === undefined || more.length > 0) throw new DestinationError('denied', `what is said to be the keys of ${whose} is not an access key and a secret key, divided by a space; write it so`);
  return { accessKeyId, secretAccessKey };
}

function secretOf(whose: string, what: string, form: string, { file, environment }: PasswordSource): string {
  if (environment !== undefined) {
    const found = process.env[environment];
    if (found === undefined || found === '') throw new DestinationError('denied', `the variable ${environment} with the ${what} of ${whose} is not in the environment of the daemon; start it with the variable, or use --password-file`);
    return found;
  }
  if (file !== undefined) return readSecret(file, whose, what).replace(/\r?\n$/, '');
  const keyring = keyringPath();
  for (const line of readSecret(keyring, whose, what).split('\n')) {
    const space = line.search(/\s/);
    if (space > 0 && line.slice(0, space) === whose) return line.slice(space + 1).trim();
  }
  throw new DestinationError('denied', `${keyring} has no line for ${whose}; add one ("${whose} ${form}"), or use --password-file`);
}

function keyringPath(): string {
  const chosen = process.env['TIDEMARK_KEYRING'];
  if (chosen !== undefined && chosen !== '') return chosen;
  return process.getuid?.() === 0 ? '/etc/tidemark/keyring' : join(process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'tidemark', 'keyring');
}

function readSecret(path: string, whose: string, what: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new DestinationError('denied', `there is no ${path} with the ${what} of ${whose}; make it (chmod 600), or say where that is with --password-file or --password-env`);
  if ((stat.mode & 0o077) !== 0) throw new DestinationError('denied', `${path} may be read by others; chmod 600 ${path}`);
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new DestinationError('denied', `${path} cannot be read by the user of the daemon; give it to that user`);
  }
}
