/** `tidemark pin DIR NAME [--at T]`, `unpin DIR NAME`, `pins DIR`: names for moments, which keep them. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { parsePinName } from '../arguments.js';
import { withDaemon } from '../asking.js';
import { shown } from '../byte-path.js';
import { jsonArray, jsonTime, localTime, table } from '../format.js';
import { locate } from '../locate.js';
import { print } from '../output.js';
import type { PinItem } from '../protocol.js';

export function addPin(program: Command): void {
  program.command('pin').description('name a moment and keep it: .snapshots/@NAME').argument('<DIR>', 'the volume').argument('<NAME>', 'the name', checkedName)
    .option('--at <T>', 'the moment (default: now)').option('--json', 'print JSON')
    .action(pin);
}

export function addUnpin(program: Command): void {
  program.command('unpin').description('forget a name; the moment lives on as long as others do').argument('<DIR>', 'the volume').argument('<NAME>', 'the name')
    .option('--json', 'print JSON')
    .action(unpin);
}

export function addPins(program: Command): void {
  program.command('pins').description('list the names').argument('<DIR>', 'the volume').option('--json', 'print JSON').action(pins);
}

function checkedName(text: string): string {
  const name = parsePinName(text);
  if (/^txn-\d+$/.test(name)) throw new InvalidArgumentError('It already means a transaction.');
  return name;
}

async function pin(directory: string, name: string, options: { readonly at?: string; readonly json?: true }): Promise<void> {
  const located = locate(directory);
  const at = options.at?.replace(/^@/, '');
  const { txid, timeNs } = await withDaemon(located, (client) => client.ask('pin', { name, ...(at === undefined ? {} : { at }) }));
  if (options.json) await print(`${JSON.stringify({ name, txid: Number(txid), time: jsonTime(BigInt(timeNs)) })}\n`);
  else await print(`${shown(located.mountpoint)}/.snapshots/@${name} is the moment of ${localTime(BigInt(timeNs))} (txn-${txid})\n`);
}

async function unpin(directory: string, name: string, options: { readonly json?: true }): Promise<void> {
  const located = locate(directory);
  await withDaemon(located, (client) => client.ask('unpin', { name }));
  await print(options.json ? `${JSON.stringify({ name, removed: true })}\n` : `@${name} is forgotten\n`);
}

async function pins(directory: string, options: { readonly json?: true }): Promise<void> {
  const located = locate(directory);
  const { pins: all } = await withDaemon(located, (client) => client.ask('pins', {}));
  if (options.json) await print(jsonArray(all.map(jsonPin)));
  else await print(table(all.map((item) => [`@${item.name}`, localTime(BigInt(item.timeNs)), `txn-${item.txid}`])));
}

function jsonPin(item: PinItem): object {
  return { name: item.name, txid: Number(item.txid), time: jsonTime(BigInt(item.timeNs)), madeAt: jsonTime(BigInt(item.madeAtNs)) };
}
