/** `tidemark ls DIR [--at T] [--deleted]`: a directory as it was, with what it had lost by then. */
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import type { Command } from 'commander';
import { withDaemonIfAllowed } from '../asking.js';
import { bytesOf, joinPath, jsonPath, nameOf, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { CommandError, isAbsent } from '../errors.js';
import { jsonArray, jsonTime, localTime, modeText, sizeText, table, typeText, userText } from '../format.js';
import { daemonOf, locate } from '../locate.js';
import type { Located } from '../locate.js';
import { absentAt, momentAt, pathAt } from '../moment.js';
import { print } from '../output.js';
import type { DeletedItem } from '../protocol.js';

interface LsOptions {
  readonly at?: string;
  readonly deleted?: true;
  readonly json?: true;
}

interface Listed {
  readonly name: BytePath;
  /** From the volume's root. */
  readonly path: BytePath;
  readonly stat: BigIntStats;
  readonly link?: BytePath;
}

export function addLs(program: Command): void {
  program.command('ls').description('list a directory as it was').argument('<DIR>', 'a directory (or a file); deleted ones too')
    .option('--at <T>', 'the moment (default: now)')
    .option('--deleted', 'also what the directory had once and had no more')
    .option('--json', 'print JSON')
    .action(ls);
}

async function ls(argument: string, options: LsOptions): Promise<void> {
  const located = locate(argument);
  if (options.deleted && located.entry === undefined) (await daemonOf(located)).close();
  const { listed, deleted } = await withDaemonIfAllowed(located, async (client) => {
    const moment = options.at === undefined && client === undefined ? undefined : await momentAt(located, options.at ?? '0s', client);
    const found = listAt(moment === undefined ? located.absolute : pathAt(moment, located.path), located, options);
    if (!options.deleted) return { listed: found, deleted: [] };
    if (client === undefined || moment?.txid === undefined) throw new CommandError('deleted entries are known to the daemon only', 'run it as the user who mounted, or with sudo');
    return { listed: found, deleted: await client.askAll('deleted', { path: located.path, at: moment.txid }) };
  });
  if (options.json) await print(jsonArray([...listed.map(jsonListed), ...deleted.map((entry) => jsonDeleted(entry, located))]));
  else await print(table([...listed.map(row), ...deleted.map(deletedRow)], [2]));
}

function listAt(path: BytePath, located: Located, options: LsOptions): Listed[] {
  let top: BigIntStats;
  try {
    top = lstatSync(bytesOf(path), { bigint: true });
  } catch (error) {
    if (isAbsent(error)) throw absentAt(shown(located.absolute), options.at ?? 'this moment');
    throw error;
  }
  if (!top.isDirectory()) return [listedOf(path, located.path, top)];
  const names = (readdirSync(bytesOf(path), { encoding: 'latin1' }) as BytePath[]).filter((name) => name !== '.snapshots').sort();
  return names.map((name) => listedOf(joinPath(path, name), joinPath(located.path, name), lstatSync(bytesOf(joinPath(path, name)), { bigint: true })));
}

function listedOf(source: BytePath, path: BytePath, stat: BigIntStats): Listed {
  return { name: nameOf(path), path, stat, ...(stat.isSymbolicLink() ? { link: readlinkSync(bytesOf(source), 'latin1') as BytePath } : {}) };
}

function row({ name, stat, link }: Listed): string[] {
  const suffix = stat.isDirectory() ? '/' : link === undefined ? '' : ` -> ${shown(link)}`;
  return [modeText(Number(stat.mode)), userText(Number(stat.uid)), stat.isDirectory() ? '-' : sizeText(stat.size), localTime(stat.mtimeNs), `${shown(name)}${suffix}`];
}

function deletedRow(entry: DeletedItem): string[] {
  const suffix = typeText(entry.type) === 'directory' ? '/' : '';
  return ['deleted', '-', '-', localTime(BigInt(entry.timeNs)), `${shown(entry.name as BytePath)}${suffix}  (until txn-${entry.txid})`];
}

function jsonListed({ name, path, stat, link }: Listed): object {
  return {
    name: jsonPath(name).path,
    ...jsonPath(path),
    type: typeText(Number(stat.mode)),
    size: Number(stat.size),
    mode: (Number(stat.mode) & 0o7777).toString(8).padStart(4, '0'),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    time: jsonTime(stat.mtimeNs),
    ...(link === undefined ? {} : { target: shown(link) }),
    deleted: false,
  };
}

function jsonDeleted(entry: DeletedItem, located: Located): object {
  const name = entry.name as BytePath;
  return { name: jsonPath(name).path, ...jsonPath(joinPath(located.path, name)), type: typeText(entry.type), txid: Number(entry.txid), time: jsonTime(BigInt(entry.timeNs)), deleted: true };
}
