/** `tidemark diff PATH --from T [--to T]`: a text diff of a file, or the list of changes of a directory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import type { Stats } from 'node:fs';
import type { Command } from 'commander';
import { withDaemonIfAllowed } from '../asking.js';
import { bytesOf, jsonPath, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import type { ControlClient } from '../control-client.js';
import { CommandError, codeOf, isAbsent } from '../errors.js';
import { jsonArray, jsonTime, localTime, sizeText, table, typeText } from '../format.js';
import { locate } from '../locate.js';
import type { Located } from '../locate.js';
import { momentAt, pathAt } from '../moment.js';
import type { Moment } from '../moment.js';
import { note, print } from '../output.js';
import type { DifferenceItem } from '../protocol.js';

interface DiffOptions {
  readonly from: string;
  readonly to?: string;
  readonly json?: true;
}

/** A file at one of the two moments; `path` is undefined when it did not exist. */
interface Side {
  readonly path: BytePath | undefined;
  /** Where it was then, from the volume's root. */
  readonly name: BytePath;
  readonly stat: Stats | undefined;
  readonly moment: Moment;
}

export function addDiff(program: Command): void {
  program.command('diff').description('what changed in a file (as text) or below a directory (as a list)').argument('<PATH>', 'a file or directory')
    .requiredOption('--from <T>', 'the earlier moment')
    .option('--to <T>', 'the later moment (default: now)')
    .option('--json', 'print JSON')
    .action(diff);
}

async function diff(argument: string, options: DiffOptions): Promise<void> {
  const located = locate(argument);
  await withDaemonIfAllowed(located, async (client) => {
    const from = await momentAt(located, options.from, client);
    const to = await momentAt(located, options.to ?? '0s', client);
    const after = sideAt(to, located.path);
    const before = await earlierSide(from, to, located, client);
    if (before.stat === undefined && after.stat === undefined) {
      throw new CommandError(`${shown(located.absolute)} existed at neither moment`, '`tidemark log` shows when it did');
    }
    if (before.stat?.isDirectory() || after.stat?.isDirectory()) await diffDirectory(located, from, to, client, options);
    else await diffFile(before, after, options);
  });
}

/** The file under the same name, or (if it had another name then) under that. */
async function earlierSide(from: Moment, to: Moment, located: Located, client: ControlClient | undefined): Promise<Side> {
  const same = sideAt(from, located.path);
  if (same.stat !== undefined || client === undefined || from.txid === undefined || to.txid === undefined) return same;
  const { path } = await client.ask('trace', { path: located.path, at: to.txid, before: from.txid });
  return path === undefined ? same : sideAt(from, path as BytePath);
}

function sideAt(moment: Moment, name: BytePath): Side {
  const path = pathAt(moment, name);
  try {
    return { path, name, stat: lstatSync(bytesOf(path)), moment };
  } catch (error) {
    if (isAbsent(error)) return { path: undefined, name, stat: undefined, moment };
    throw error;
  }
}

async function diffDirectory(located: Located, from: Moment, to: Moment, client: ControlClient | undefined, options: DiffOptions): Promise<void> {
  if (client === undefined || from.txid === undefined || to.txid === undefined) {
    throw new CommandError('the changes of a directory are known to the daemon only', 'run it as the user who mounted, or with sudo');
  }
  const differences = await client.askAll('diff', { path: located.path, from: from.txid, to: to.txid });
  if (options.json) await print(jsonArray(differences.map(jsonDifference)));
  else if (differences.length === 0) await note(`nothing differs below ${shown(located.absolute)}`);
  else await print(table(differences.map(differenceRow)));
}

function differenceRow(difference: DifferenceItem): string[] {
  const path = `${shown(difference.path as BytePath)}${typeText(difference.type) === 'directory' ? '/' : ''}`;
  const moved = difference.from === undefined ? path : `${shown(difference.from as BytePath)} → ${path}`;
  const sizes = [difference.sizeBefore, difference.sizeAfter].filter((size) => size !== undefined).map((size) => sizeText(BigInt(size)));
  return [difference.kind, sizes[0] === sizes[1] ? (sizes[0] ?? '') : sizes.join(' → '), moved];
}

function jsonDifference(difference: DifferenceItem): object {
  const from = difference.from === undefined ? undefined : jsonPath(difference.from as BytePath);
  return {
    kind: difference.kind,
    ...jsonPath(difference.path as BytePath),
    ...(from === undefined ? {} : { from: from.path }),
    type: typeText(difference.type),
    sizeBefore: difference.sizeBefore === undefined ? null : Number(difference.sizeBefore),
    sizeAfter: difference.sizeAfter === undefined ? null : Number(difference.sizeAfter),
  };
}

async function diffFile(before: Side, after: Side, options: DiffOptions): Promise<void> {
  for (const side of [before, after]) {
    if (side.stat !== undefined && !side.stat.isFile()) throw new CommandError(`${shown(side.name)} is a ${typeText(side.stat.mode)} there, which has no text`, '`tidemark ls --at` shows it');
  }
  const text = await unifiedDiff(before, after);
  if (options.json) await print(`${JSON.stringify({ ...jsonPath(after.name), from: jsonMoment(before.moment), to: jsonMoment(after.moment), differs: text !== '', diff: text })}\n`);
  else if (text === '') await note(`${shown(after.name)} does not differ`);
  else await print(text);
}

/** What diff(1) says; it gets open files, so that no name has to be put into words. */
async function unifiedDiff(before: Side, after: Side): Promise<string> {
  const descriptors = [before, after].map((side) => openSync(side.path === undefined ? '/dev/null' : bytesOf(side.path), constants.O_RDONLY));
  try {
    const child = spawn('diff', ['-u', '--label', label(before), '--label', label(after), '--', '/dev/fd/3', '/dev/fd/4'], { stdio: ['ignore', 'pipe', 'pipe', ...descriptors] });
    const output: Buffer[] = [];
    const complaints: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => complaints.push(chunk));
    const [status] = (await once(child, 'close')) as [number | null];
    const text = Buffer.concat(output).toString('utf8');
    if (status === 0) return '';
    if (text.startsWith('Binary files')) return `Binary files ${label(before)} and ${label(after)} differ\n`;
    if (status === 1) return text;
    throw new CommandError(`diff failed: ${Buffer.concat(complaints).toString('utf8').trim()}`);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new CommandError('the program diff is not installed', 'install it: apt-get install diffutils');
    throw error;
  } finally {
    descriptors.forEach((descriptor) => closeSync(descriptor));
  }
}

function label(side: Side): string {
  const when = side.moment.timeNs === undefined ? side.moment.text : localTime(side.moment.timeNs);
  return side.path === undefined ? `/dev/null\t${when}` : `${shown(side.name)}\t${when}`;
}

function jsonMoment(moment: Moment): object | string {
  return moment.timeNs === undefined ? moment.text : { txid: Number(moment.txid), time: jsonTime(moment.timeNs) };
}
