/**
 * DEST as users write it: a directory, `ftp://user@host/path`, `ftps://…`, `s3://bucket/prefix` (s3-argument.ts). In: the text and the options that belong to it. Out: a place.
 *
 * Invariants:
 * 1. A password in an address is refused: the command line is seen by everybody.
 */
import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Place } from '../../replica/place.js';
import { argumentPath, shown, toText } from '../byte-path.js';
import { CommandError, UsageError } from '../errors.js';
import { accessOf } from './access-options.js';
import type { DestinationOptions } from './access-options.js';
import { s3Place } from './s3-argument.js';

const ofServers = ['passwordFile', 'passwordEnv', 'ca', 'pin', 'clearText', 'connections'] as const;
const ofFtp = ['tls'] as const;
const ofS3 = ['endpoint', 'region', 'pathStyle'] as const;

/** Throws UsageError, CommandError. */
export function parseDestination(text: string, options: DestinationOptions): Place {
  if (/^ftps?:\/\//i.test(text)) {
    refuse(options, ofS3, 's3://');
    return ftpPlace(text, options);
  }
  if (/^s3:\/\//i.test(text)) {
    refuse(options, ofFtp, 'ftp:// and ftps://');
    return s3Place(text, options);
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) throw new UsageError(`"${text}" is no destination; write a directory, ftp://user@host/path, ftps://user@host/path or s3://bucket/prefix`);
  refuse(options, ofServers, 'ftp://, ftps:// and s3://');
  refuse(options, ofFtp, 'ftp:// and ftps://');
  refuse(options, ofS3, 's3://');
  return directoryPlace(text);
}

/** Throws UsageError for an option that is given and belongs to another destination. */
function refuse(options: DestinationOptions, names: readonly (keyof DestinationOptions)[], where: string): void {
  const given = names.find((name) => options[name] !== undefined);
  if (given !== undefined) throw new UsageError(`--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} belongs to ${where}`);
}

function directoryPlace(text: string): Place {
  const path = toText(argumentPath(text));
  if (path === undefined) throw new CommandError(`${shown(argumentPath(text))} is not UTF-8`, 'rename the directory');
  const directory = resolve(path);
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) throw new CommandError(`${directory} does not exist`, 'plug the drive in and mount it, or make the directory');
  if (!stat.isDirectory()) throw new CommandError(`${directory} is not a directory`, 'name a directory');
  return { kind: 'directory', path: realpathSync(directory) };
}

function ftpPlace(text: string, options: DestinationOptions): Place {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new UsageError(`"${text}" cannot be read; write it like ftps://user@host/path`);
  }
  if (url.password !== '') throw new UsageError('a password on the command line is seen by everybody; use --password-file, --password-env or the keyring file');
  if (url.hostname === '') throw new UsageError(`"${text}" names no host; write it like ftps://user@host/path`);
  if (url.search !== '' || url.hash !== '') throw new UsageError(`write "?" and "#" in ${text} as %3F and %23`);
  const isSecure = url.protocol === 'ftps:' || options.tls !== undefined;
  if (options.clearText && isSecure) throw new UsageError('--clear-text is the opposite of ftps:// and --tls');
  const security = options.tls ?? (url.port === '990' ? 'implicit' : options.clearText ? 'none' : 'explicit');
  if (security === 'none' && (options.ca !== undefined || options.pin !== undefined)) throw new UsageError('--clear-text has no certificate to check');
  return {
    kind: 'ftp', host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? (security === 'implicit' ? 990 : 21) : Number(url.port),
    user: url.username === '' ? 'anonymous' : decodeURIComponent(url.username), path: decodeURIComponent(url.pathname).replace(/^\//, '').replace(/\/$/, ''), security,
    ...accessOf(options),
  };
}
