/**
 * What can go wrong in a command, and the one place where it becomes a line on stderr and an exit status. Commands throw;
 * main.ts asks `describe` once.
 *
 * Invariants:
 * 1. Exit status 0 means done, 1 could not, 2 wrong usage.
 * 2. An expected fault is one line that names the thing and ends with the remedy; only a programmer's mistake shows a stack.
 */
import { CommanderError } from 'commander';

/** A fault a command expects: `message` says what is wrong, `remedy` what to do. */
export class CommandError extends Error {
  readonly code = 'COMMAND';
  readonly remedy: string;
  constructor(message: string, remedy = '') {
    super(message);
    this.remedy = remedy;
  }
}

/** The arguments make no sense together. */
export class UsageError extends Error {
  readonly code = 'USAGE';
}

/** The daemon answered a request with an error; `daemonCode` is the code it gave. */
export class DaemonError extends Error {
  readonly code = 'DAEMON';
  readonly daemonCode: string;
  constructor(daemonCode: string, message: string) {
    super(message);
    this.daemonCode = daemonCode;
  }
}

export interface Description {
  readonly status: 0 | 1 | 2;
  /** One line without a line break at its end; empty when everything has been said already. */
  readonly line: string;
}

/** Remedies for system errors that reach the user as they are. */
const remedies: Readonly<Record<string, string>> = {
  EACCES: 'run it as the owner or with sudo',
  EPERM: 'run it as the owner or with sudo',
  ENOSPC: 'make room on the disk and try again',
  EDQUOT: 'make room in your quota and try again',
  EROFS: 'choose a place that can be written',
  ENOTCONN: 'its daemon has died: `tidemark mount` the directory again',
  ELOCKED: 'another daemon has this volume open: `tidemark status` shows it',
  EFORMAT: 'the store was made by a newer Tidemark: upgrade this one',
  EUNSUPPORTED: 'choose a directory on a local file system such as ext4, xfs or btrfs',
};

export function describe(error: unknown): Description {
  if (error instanceof CommanderError) return describeCommander(error);
  if (error instanceof UsageError) return { status: 2, line: `tidemark: ${error.message}` };
  if (error instanceof CommandError) return { status: 1, line: sentence(error.message, error.remedy) };
  if (error instanceof DaemonError) return { status: 1, line: sentence(error.message, remedyFor(error.daemonCode, error.message)) };
  if (error instanceof Error) {
    const code = codeOf(error);
    if (code === 'EPIPE') return { status: 1, line: '' };
    if (code === 'ENOENT' && /uv_cwd|\/proc\/self\/cwd/.test(error.message)) return { status: 1, line: sentence('the working directory does not exist any more', 'cd to another one') };
    if (code !== undefined) return { status: 1, line: sentence(firstLine(error.message), remedyFor(code, error.message)) };
    return { status: 1, line: `tidemark: internal error: ${error.stack ?? error.message}` };
  }
  return { status: 1, line: `tidemark: internal error: ${String(error)}` };
}

/** The `code` of an error, when it has one that is a string. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** true for the error codes that mean "nothing is there". */
export function isAbsent(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** The engine's messages bring their own remedy, after a semicolon. */
function remedyFor(code: string, message: string): string {
  return message.includes('; ') ? '' : (remedies[code] ?? '');
}

/** Help and version are printed by commander itself and are no fault. */
function describeCommander(error: CommanderError): Description {
  if (error.exitCode === 0) return { status: 0, line: '' };
  const message = firstLine(error.message).replace(/^error: /, '');
  return { status: 2, line: error.code === 'commander.help' ? '' : `tidemark: ${message}` };
}

function sentence(message: string, remedy: string): string {
  return remedy === '' ? `tidemark: ${message}` : `tidemark: ${message}; ${remedy}`;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
