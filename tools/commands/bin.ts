/** `tidemark bin DIR [PATTERN]`: what was deleted, replaced, cut off or overwritten below a directory, newest first, and by whom. */
import type { Command } from 'commander';
import { actorOf, addActorOptions } from '../actor-options.js';
import type { ActorOptions } from '../actor-options.js';
import { parseCount } from '../arguments.js';
import { withDaemon } from '../asking.js';
import { jsonPath, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { jsonTime, localTime, sizeText, typeText, userText } from '../format.js';
import { locate } from '../locate.js';
import { note } from '../output.js';
import { PrintedList, jsonForm, tableForm } from '../printed-list.js';
import type { BinEntryItem } from '../recovery-protocol.js';

interface BinOptions extends ActorOptions {
  readonly since?: string;
  readonly limit?: number;
  readonly json?: true;
}

export function addBin(program: Command): void {
  const command = program.command('bin').description('what was deleted or overwritten, newest first').argument('<DIR>', 'a directory')
    .argument('[PATTERN]', 'only paths that match this glob; one without a slash is matched against the last name')
    .option('--since <T>', 'what was lost after this moment (default: the last backup, else 24 hours ago)');
  addActorOptions(command).option('--limit <N>', 'at most so many', parseCount).option('--json', 'print JSON').action(bin);
}

async function bin(directory: string, pattern: string | undefined, options: BinOptions): Promise<void> {
  const located = locate(directory);
  const { limit } = options;
  const since = options.since?.replace(/^@/, '');
  await withDaemon(located, async (client) => {
    const list = new PrintedList<BinEntryItem>(options.json ? jsonForm(jsonItem) : tableForm(row, [3]), () => { client.close(); });
    const asked = client.ask('bin', {
      path: located.path, ...(since === undefined ? {} : { since }), ...(pattern === undefined ? {} : { pattern }), ...(limit === undefined ? {} : { limit }), ...actorOf(options),
    }, (item) => { list.add(item); });
    const { backup } = await asked.catch((error: unknown) => { throw list.fault ?? error; });
    if (await list.finish() > 0 || options.json) return;
    const span = since !== undefined ? `since ${since}` : backup === undefined ? 'in the last 24 hours' : `since the last backup (@${backup})`;
    await note(`nothing was deleted or overwritten in ${shown(located.absolute)} ${span}`);
  });
}

function row(item: BinEntryItem): string[] {
  const suffix = typeText(item.type) === 'directory' ? '/' : '';
  const who = item.external ? 'while not mounted' : `${userText(item.uid)} ${item.command}[${item.pid}]${item.isSure ? '' : ' among others'}`;
  return [localTime(BigInt(item.timeNs)), `txn-${item.txid}`, item.kind, item.size === undefined ? '-' : sizeText(BigInt(item.size)), who, `${shown(item.path as BytePath)}${suffix}`];
}

function jsonItem(item: BinEntryItem): object {
  return {
    txid: Number(item.txid),
    time: jsonTime(BigInt(item.timeNs)),
    kind: item.kind,
    ...jsonPath(item.path as BytePath),
    type: typeText(item.type),
    size: item.size === undefined ? null : Number(item.size),
    uid: item.uid,
    pid: item.pid,
    command: item.command,
    external: item.external,
    sure: item.isSure,
  };
}
