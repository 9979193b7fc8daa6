/**
 * Reads the configuration to be checked: the files themselves, for their lines, and what Samba makes of them, by `testparm`, where that is installed. In: the path
 * of smb.conf. Out: shares.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, CommandError, isAbsent } from '../errors.js';
import { readSmbConf } from './smb-conf.js';
import type { SmbConf } from './smb-conf.js';

export interface Configuration {
  readonly files: SmbConf;
  /** As Samba understands it; undefined where it is not installed. */
  readonly effective: SmbConf | undefined;
}

/** Ordinary users do not have it in their PATH. */
const searchPath = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
const largestOutputBytes = 64 * 2 ** 20;

/** Throws CommandError when the file cannot be read, or Samba would not start with it. */
export function readConfiguration(file: string): Configuration {
  if (!existsSync(file)) throw new CommandError(`there is no ${file}`, 'say where it is: --config FILE');
  try {
    const files = readSmbConf(file, readText);
    const output = testparm(file);
    return { files, effective: output === undefined ? undefined : readSmbConf(file, (path) => (path === file ? output : undefined)) };
  } catch (error) {
    if (error instanceof SyntaxError) throw new CommandError(error.message, 'Samba reads nothing behind it');
    throw error;
  }
}

/** What `testparm` prints; undefined when it is not installed. */
function testparm(file: string): string | undefined {
  const { status, stdout, stderr, error } = spawnSync('testparm', ['-s', file], options());
  if (codeOf(error) === 'ENOENT') return undefined;
  if (status === 0) return stdout;
  const said = stderr.split('\n').filter((line) => line !== '' && !/^(Load smb config|Error loading services)/.test(line)).join(' ');
  throw new CommandError(`Samba cannot read ${file}${said === '' ? '' : `: ${said}`}`, `\`testparm -s ${file}\` shows more`);
}

/** The file that Samba would load for `shadow_copy2` when it is missing; undefined when it is there, or Samba is not. */
export function missingModule(): string | undefined {
  const { stdout, error } = spawnSync('smbd', ['-b'], options());
  const folder = error === undefined ? /^\s*MODULESDIR: (.+)$/m.exec(stdout)?.[1] : undefined;
  if (folder === undefined || /\bvfs_shadow_copy2\b/.test(/^Builtin modules:\n(.*)/m.exec(stdout)?.[1] ?? '')) return undefined;
  const path = join(folder, 'vfs', 'shadow_copy2.so');
  return existsSync(path) ? undefined : path;
}

function options(): { encoding: 'utf8'; env: NodeJS.ProcessEnv; maxBuffer: number; stdio: ['ignore', 'pipe', 'pipe'] } {
  return { encoding: 'utf8', env: { ...process.env, PATH: searchPath }, maxBuffer: largestOutputBytes, stdio: ['ignore', 'pipe', 'pipe'] };
}

/** Samba passes over an include that is not there. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
