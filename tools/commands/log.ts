/** `tidemark log PATH`: the versions of a file, or what changed below a directory; newest first. */
import type { Command } from 'commander';
import { parseCount } from '../arguments.js';
import { withDaemon } from '../asking.js';
import { jsonPath, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { jsonArray, jsonTime, localTime, sizeText, table, userText } from '../format.js';
import { locate } from '../locate.js';
import { note, print } from '../output.js';
import type { ChangeItem } from '../protocol.js';

interface LogOptions {
  readonly json?: true;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: number;
}

export function addLog(program: Command): void {
  program.command('log').description('the versions of a file, or the changes below a directory').argument('<PATH>', 'a file or directory; deleted ones too')
    .option('--since <T>', 'only what changed after this moment')
    .option('--until <T>', 'only what changed up to this moment')
    .option('--limit <N>', 'at most so many', parseCount)
    .option('--json', 'print JSON')
    .action(log);
}

async function log(argument: string, options: LogOptions): Promise<void> {
  const located = locate(argument);
  const { since, until, limit } = options;
  const changes = await withDaemon(located, (client) =>
    client.askAll('log', { path: located.path, ...(since === undefined ? {} : { since: bare(since) }), ...(until === undefined ? {} : { until: bare(until) }), ...(limit === undefined ? {} : { limit }) }),
  );
  if (options.json) await print(jsonArray(changes.map(jsonChange)));
  else if (changes.length === 0) await note(`nothing is recorded of ${shown(located.absolute)}${since ?? until ? ' in that time' : ''}`);
  else await print(table(changes.map(row), [1, 3]));
}

/** The stable fields of a change. */
export function jsonChange(change: ChangeItem): object {
  const { path, pathHex } = jsonPath(change.path as BytePath);
  const from = change.from === undefined ? undefined : jsonPath(change.from as BytePath);
  return {
    txid: Number(change.txid),
    time: jsonTime(BigInt(change.timeNs)),
    kind: change.kind,
    path,
    ...(pathHex === undefined ? {} : { pathHex }),
    ...(from === undefined ? {} : { from: from.path, ...(from.pathHex === undefined ? {} : { fromHex: from.pathHex }) }),
    size: change.size === undefined ? null : Number(change.size),
    uid: change.uid,
    pid: change.pid,
    command: change.command,
    external: change.external,
  };
}

function row(change: ChangeItem): string[] {
  const path = shown(change.path as BytePath);
  const moved = change.from === undefined ? path : `${shown(change.from as BytePath)} → ${path}`;
  const who = change.external ? 'past the mount' : `${userText(change.uid)} ${change.command}[${change.pid}]`;
  const size = change.size === undefined ? '-' : sizeText(BigInt(change.size));
  return [localTime(BigInt(change.timeNs)), `txn-${change.txid}`, change.kind, size, who, moved];
}

function bare(text: string): string {
  return text.startsWith('@') ? text.slice(1) : text;
}
