/**
 * Makes a sink out of what was typed, and checks what it names while somebody is there to correct it. In: the arguments of `--add-sink` and its companions. Out: a sink.
 *
 * Invariants:
 * 1. Everything a user can put right is said here, before anything is changed.
 * 2. Nothing that a sink names lies in a volume that Tidemark serves: the daemon must not wait for its own mount, and what tells of a volume must not vanish with it.
 */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { codeOf, CommandError, UsageError } from '../errors.js';
import { isWithin } from '../byte-path.js';
import { isOurs, mountTable } from '../mounts.js';
import { addressSchema, sinkSchema } from './config.js';
import type { Sink } from './config.js';

/** A sink as it was named; only mail needs more. */
export type NamedSink =
  | { readonly type: 'log' }
  | { readonly type: 'command'; readonly path: string }
  | { readonly type: 'webhook'; readonly url: string }
  | { readonly type: 'mail'; readonly to: string };

export interface SinkOptions {
  readonly digest?: true;
  readonly smtp?: string;
  readonly from?: string;
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
}

/** `log`, `command:PATH`, `webhook:URL` (or the URL alone), `mail:ADDRESS`. For commander. */
export function parseSinkName(text: string): NamedSink {
  if (text === 'log') return { type: 'log' };
  const [, kind, rest = ''] = /^(command|webhook|mail):(.+)$/s.exec(text) ?? [];
  if (kind === 'command') return { type: 'command', path: resolve(rest) };
  if (kind === 'mail') return { type: 'mail', to: parseAddress(rest) };
  if (kind === 'webhook') return { type: 'webhook', url: checkedUrl(rest) };
  if (/^https?:/i.test(text)) return { type: 'webhook', url: checkedUrl(text) };
  throw new InvalidArgumentError('There is no such sink; write log, command:PATH, webhook:URL or mail:ADDRESS.');
}

/** `smtp://[user@]host[:port]`, for commander. */
export function parseSmtp(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^smtps?:$/.test(url.protocol) || url.hostname === '') throw new InvalidArgumentError('Write it like smtp://user@mail.example.org:587 or smtps://mail.example.org.');
  if (url.password !== '') throw new InvalidArgumentError('Put no password there, where others see it: use --password-file or --password-env.');
  return text;
}

export function parseAddress(text: string): string {
  if (!addressSchema.safeParse(text).success) throw new InvalidArgumentError('It is no mail address; write it like mail:admin@example.org.');
  return text;
}

/** The sink with all its options. Throws UsageError when they make no sense together, CommandError when what it names is not as it must be. */
export function completeSink(named: NamedSink, options: SinkOptions): Sink {
  const digest = options.digest === true;
  if (named.type !== 'mail') refuseMailOptions(options);
  switch (named.type) {
    case 'log': return { type: 'log', digest };
    case 'webhook': return { type: 'webhook', url: named.url, digest };
    case 'command': return { type: 'command', path: checkedCommand(named.path), digest };
    case 'mail': return checkedMail({ to: named.to, digest }, options);
  }
}

export function refuseMailOptions({ smtp, from, passwordFile, passwordEnv }: SinkOptions): void {
  if (smtp ?? from ?? passwordFile ?? passwordEnv) throw new UsageError('--smtp, --from, --password-file and --password-env belong to --add-sink mail:ADDRESS');
}

function checkedMail(sink: { readonly to: string; readonly digest: boolean }, options: SinkOptions): Sink {
  const { smtp = 'smtp://localhost', from = `tidemark@${hostname()}`, passwordFile, passwordEnv } = options;
  if (passwordFile !== undefined && passwordEnv !== undefined) throw new UsageError('--password-file and --password-env exclude each other');
  const hasUser = new URL(smtp).username !== '';
  const hasPassword = passwordFile !== undefined || passwordEnv !== undefined;
  if (hasUser !== hasPassword) throw new UsageError(hasUser ? `${smtp} has a user: say where the password is, with --password-file or --password-env` : 'a password is of no use without a user: --smtp smtp://user@host');
  const parsed = sinkSchema.safeParse({
    type: 'mail', ...sink, smtp, from,
    ...(passwordFile === undefined ? {} : { passwordFile: checkedPasswordFile(resolve(passwordFile)) }), ...(passwordEnv === undefined ? {} : { passwordVariable: passwordEnv }),
  });
  if (!parsed.success) throw new UsageError(`this mail sink cannot be: ${parsed.error.issues[0]?.path.join('.') ?? ''} ${parsed.error.issues[0]?.message ?? ''}`);
  return parsed.data;
}

function checkedCommand(path: string): string {
  const real = realFile(path, 'a program');
  try {
    accessSync(real, constants.X_OK);
  } catch {
    throw new CommandError(`${path} cannot be executed`, `chmod +x ${path}`);
  }
  if ((statSync(real).mode & 0o002) !== 0) throw new CommandError(`${path} can be changed by everybody`, `chmod o-w ${path}`);
  return path;
}

function checkedPasswordFile(path: string): string {
  const real = realFile(path, 'a file with the password');
  try {
    accessSync(real, constants.R_OK);
  } catch {
    throw new CommandError(`${path} cannot be read`, 'run it as the user who mounted, and let that user read the file');
  }
  if ((statSync(real).mode & 0o077) !== 0) throw new CommandError(`${path} can be read by others`, `chmod 600 ${path}`);
  return path;
}

/** The real path of a file outside all volumes. */
function realFile(path: string, what: string): string {
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    throw new CommandError(`${path} cannot be found (${codeOf(error) ?? 'unknown error'})`, `name ${what} that is there`);
  }
  const volume = mountTable().find((mount) => isOurs(mount) && isWithin(real, mount.path));
  if (volume !== undefined) throw new CommandError(`${path} lies in ${volume.path}, which Tidemark serves`, 'put it elsewhere: who tells of a volume must not depend on it');
  if (!statSync(real).isFile()) throw new CommandError(`${path} is not a file`, `name ${what}`);
  return real;
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new InvalidArgumentError('It is no URL; write it like webhook:https://hooks.example.org/path.');
  if (url.username !== '' || url.password !== '') throw new InvalidArgumentError('A URL with user and password is not accepted; use a secret path or a command.');
  return url.href;
}
