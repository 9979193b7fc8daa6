/** `tidemark samba DIR`: prints the share section for smb.conf that makes Windows show previous versions. */
import { existsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { argumentPath, shown, toText } from '../byte-path.js';
import { CommandError, UsageError } from '../errors.js';
import { note, print } from '../output.js';
import { isShareName, readySection, sectionText, shareName } from '../samba/ready-section.js';
import { whereaboutsOf } from '../samba/whereabouts.js';

interface SambaOptions {
  readonly name?: string;
  readonly json?: true;
}

export function addSamba(program: Command): void {
  program.command('samba').description('print a share section for smb.conf, with previous versions for Windows').argument('<DIR>', 'a volume, or a directory in one')
    .option('--name <name>', 'the name of the share; default: that of the directory').option('--json', 'print JSON')
    .action(samba);
}

async function samba(argument: string, options: SambaOptions): Promise<void> {
  if (options.name !== undefined && !isShareName(options.name)) throw new UsageError(`a share cannot be called "${options.name}"; Samba takes letters, digits, blanks, "-", "_" and "."`);
  const asked = shown(argumentPath(argument));
  if (toText(argumentPath(argument)) === undefined) throw new CommandError(`${asked} is not UTF-8`, 'share a directory above it');
  const found = whereaboutsOf(argument);
  if (found === undefined) throw new CommandError(`${asked} is in no volume`, 'protect it first: tidemark mount DIR');
  const { path, obstacle } = found;
  if (!existsSync(argument)) throw new CommandError(obstacle?.what ?? `${asked} does not exist`);
  if (!statSync(argument).isDirectory()) throw new CommandError(`${path} is not a directory`, 'name the directory it lies in');
  if (/[\u0000-\u001f%\\]/.test(path)) throw new CommandError(`${path} has characters that mean something else in smb.conf`, 'share a directory above it');
  // A remedy that is a line of smb.conf is in what is printed already.
  if (obstacle !== undefined && obstacle.write === undefined) await note(`tidemark: ${obstacle.what}`);
  const section = readySection(options.name ?? shareName(basename(path)), path);
  await print(options.json ? `${JSON.stringify(section)}\n` : sectionText(section));
}
