/** `tidemark pair …`: a second node that holds the same history, and takes over when told to. */
import { hostname } from 'node:os';
import { Option } from 'commander';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { openStoreFiles } from '../../engine/index.js';
import { decodeInvitation, parseAddress } from '../../replica/pair/invitation.js';
import { redeem } from '../../replica/pair/joining.js';
import { parseCount, parseDuration, parseSize } from '../arguments.js';
import { withDaemon } from '../asking.js';
import { shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { defined } from '../defined.js';
import { CommandError } from '../errors.js';
import { counted, localTime, sizeText } from '../format.js';
import { launch } from '../launch.js';
import { locate } from '../locate.js';
import { checkPlaces } from '../mount-checks.js';
import { note, print } from '../output.js';
import type { PairAction, PairReply, PairStanding, StandbyItem, VerifiedPeer } from '../pair/requests.js';
import { addMountOptions, daemonOptions } from './mount.js';
import type { MountOptions } from './mount.js';

type Address = ReturnType<typeof parseAddress>;

export function addPair(program: Command): void {
  const pair = program.command('pair').description('a second node with the same history');
  pair.command('invite').description('print one line with which another node can join').argument('<DIR>', 'the volume')
    .option('--listen <ADDRESS[:PORT]>', 'where other nodes can reach this one (default: 127.0.0.1, so from this machine alone; port 7117 or the next free one)', checkedAddress)
    .option('--address <ADDRESS[:PORT]>', 'how the other node reaches this one, where that is another address (default: the one listened on)', checkedAddress)
    .action(invite);
  const join = pair.command('join').description('make DIR the standby of the volume that the line is for').argument('<LINE>', 'what "pair invite" printed').argument('<DIR>', 'the directory')
    .argument('[MOUNTPOINT]', 'an empty directory outside DIR')
    .option('--seed', 'DIR holds a copy already: only what differs travels')
    .option('--listen <ADDRESS[:PORT]>', 'where this node listens for the day on which it is primary (default: the address from which it reaches the other node, port 7117 or the next free one)', checkedAddress);
  addMountOptions(join);
  join.action(joinPair);
  for (const [name, text] of [['pause', 'stop the flow of changes'], ['resume', 'let it go on'], ['rotate', 'make a new key and certificate (peers then have to join anew)'], ['leave', 'forget the pair: the volume is one of its own again']] as const) {
    pair.command(name).description(text).argument('<DIR>', 'the volume').action((directory: string) => act(directory, { do: name }));
  }
  pair.command('forget').description('a standby that will not come back: nothing is kept for it any more').argument('<DIR>', 'the volume').argument('<NODE>', 'its name or number')
    .action((directory: string, peer: string) => act(directory, { do: 'forget', peer }));
  pair.command('status').description('roles, positions, lag').argument('<DIR>', 'the volume').option('--json', 'print JSON').action(status);
  pair.command('verify').description('compare this node with the other: transactions, and the trees of some moments by names, attributes and hashes').argument('<DIR>', 'the volume')
    .option('--moments <COUNT>', 'trees of so many moments, the last one among them', parseCount, 5).option('--json', 'print JSON').action(verify);
  pair.command('promote').description('make this standby primary, and the primary its standby').argument('<DIR>', 'the volume')
    .option('--takeover', 'the primary is gone: do not ask it').option('--at <MOMENT>', 'with the files as they were then; what came after stays in the past').action(promote);
  pair.command('conflicts').description('what was kept of a primary that came back: files that the other node never saw').argument('<DIR>', 'the volume').action(conflicts);
  pair.command('set').description('change how the pair works').argument('<DIR>', 'the volume').option('--limit-rate <BYTES>', 'send no more bytes a second; 0: no limit', checkedRate)
    .addOption(new Option('--compress <HOW>', 'deflate what is sent, for slow lines (at first: off)').choices(['on', 'off']))
    .addOption(new Option('--mode <MODE>', 'sync: fsync returns when a standby has it on its disk; async: at once').choices(['sync', 'async']))
    .addOption(new Option('--when-gone <WHAT>', 'in the mode sync, when no standby answers: go on alone, and say so, or stop all writes').choices(['stop', 'go-on']))
    .option('--gone-after <TIME>', 'a standby that has not answered for so long is gone (at first: 5s)', parseDuration)
    .option('--read-at <TIME>', 'on a standby: its tree shows what is so old (5m), or the latest there is (latest)', parseReadAt)
    .option('--alarm-lag <TIME>', 'a standby that is further behind is an alarm (at first: 5m)', parseDuration)
    .option('--pin-budget <SIZE>', 'how much the log may grow before the place of a standby that is away is given up (at first: 8G)', parseSize)
    .action((directory: string, { goneAfter, alarmLag, readAt, compress, ...options }: SetOptions) => act(directory, { do: 'set', ...options, ...defined({ patienceMs: goneAfter, alarmLagMs: alarmLag, readDelayMs: readAt, compresses: compress === undefined ? undefined : compress === 'on' }) }));
}

interface SetOptions {
  readonly limitRate?: number;
  readonly mode?: 'sync' | 'async';
  readonly whenGone?: 'stop' | 'go-on';
  readonly goneAfter?: number;
  readonly alarmLag?: number;
  readonly readAt?: number;
  readonly compress?: 'on' | 'off';
  readonly pinBudget?: number;
}

async function invite(directory: string, options: { readonly listen?: Address; readonly address?: Address }): Promise<void> {
  const { listen, address } = options;
  const { line = '' } = await ask(directory, { do: 'invite', ...(listen === undefined ? {} : { listen }), ...(address === undefined ? {} : { address }) });
  await print(`${line}\n`);
  await note('Good once, for an hour. On the other node: tidemark pair join "LINE" DIR');
  if (decodeInvitation(line).address.host.startsWith('127.')) await note('This node can be reached from this machine alone; to let others in: tidemark pair invite --listen ADDRESS DIR');
}

async function joinPair(line: string, directory: string, mountpoint: string | undefined, options: MountOptions & { readonly seed?: true; readonly listen?: Address }): Promise<void> {
  if (process.getuid?.() !== 0) throw new CommandError('only root can make a standby', 'run it with sudo');
  decodeInvitation(line);
  const places = checkPlaces(directory, mountpoint);
  const store = openStoreFiles(places.directory);
  try {
    const { primaryName } = await redeem({
      store: store.store, volume: store.id, line, name: hostname(), isSeeded: options.seed === true, ...(options.listen === undefined ? {} : { listen: options.listen }),
    });
    await note(`paired with ${primaryName}`);
  } finally {
    store.close();
  }
  const { letGo } = await launch(daemonOptions(places, options, 'unmount'));
  letGo();
  await print(`${places.directory} is a standby now; tidemark pair status ${places.mountpoint} shows how far it is\n`);
}

async function promote(directory: string, options: { readonly takeover?: true; readonly at?: string }): Promise<void> {
  await act(directory, { do: 'promote', way: options.takeover === true ? 'take-over' : 'controlled', ...(options.at === undefined ? {} : { at: options.at.replace(/^@/, '') }) });
}

async function status(directory: string, options: { readonly json?: true }): Promise<void> {
  const reply = await ask(directory, { do: 'status' });
  if (options.json) await print(`${JSON.stringify(reply.standing ?? null)}\n`);
  else await print(reply.standing === undefined ? 'no pair\n' : text(reply.standing));
}

async function verify(directory: string, options: { readonly moments: number; readonly json?: true }): Promise<void> {
  const { verified = [] } = await ask(directory, { do: 'verify', moments: options.moments });
  if (options.json) await print(`${JSON.stringify(verified)}\n`);
  else await print(verified.length === 0 ? 'no other node\n' : verified.map(verifiedText).join(''));
  if (verified.some(({ why, differences = [] }) => why !== undefined || differences.length > 0)) process.exitCode = 1;
}

function verifiedText({ name, why, transactions = 0, moments = [], files = 0, bytes = 0, differences = [] }: VerifiedPeer): string {
  if (why !== undefined) return `${name}: not compared: ${why}\n`;
  const what = `${counted(transactions, 'transaction')}; ${counted(files, 'file')} and ${sizeText(BigInt(bytes))} at ${counted(moments.length, 'moment')} up to txn-${moments.at(-1) ?? ''}`;
  return differences.length === 0 ? `${name}: the same (${what})\n` : `${name}: ${counted(differences.length, 'difference')} (${what})\n${differences.map((line) => `  ${line}\n`).join('')}`;
}

/** The moment of the tail is followed by the one that leads back to what both nodes have. */
async function conflicts(directory: string): Promise<void> {
  await withDaemon(locate(directory), async (client) => {
    const { pins } = await client.ask('pins', {});
    for (const { name, txid } of pins.filter((pin) => pin.name.startsWith('diverged-'))) {
      await print(`@${name}\n`);
      for (const { kind, path } of await client.askAll('diff', { path: '/', from: String(BigInt(txid) + 1n), to: txid })) await print(`  ${kind.padEnd(10)} ${shown(path as BytePath)}\n`);
    }
  });
}

async function act(directory: string, action: PairAction): Promise<void> {
  const { standing } = await ask(directory, action);
  await print(standing === undefined ? 'no pair\n' : text(standing));
}

async function ask(directory: string, action: PairAction): Promise<PairReply> {
  return withDaemon(locate(directory), (client) => client.ask('pair', { action }));
}

function text(standing: PairStanding): string {
  const { role, name, node, term, txid, timeNs, listen, isPaused, limitRate, primary, standbys } = standing;
  return [
    `${name} (${node}): ${role} in term ${term}${isPaused ? ', paused' : ''}\n`,
    `  position  txn-${txid}, ${localTime(BigInt(timeNs))}\n`,
    ...(listen === undefined ? [] : [`  listens   ${listen}\n`]),
    ...(role === 'primary' ? [`  mode      ${modeText(standing)}\n`] : []),
    ...(limitRate === 0 ? [] : [`  limit     ${sizeText(BigInt(limitRate))} a second\n`]),
    ...(primary === undefined ? [] : [
      `  primary   ${primary.name} (${primary.node})${primary.address === undefined ? '' : ` at ${primary.address}`}: ${primary.link}${primary.why === undefined ? '' : ` (${primary.why})`}\n`,
      ...(primary.link === 'initial sync' ? [`  so far    ${counted(primary.files, 'file')}, ${sizeText(BigInt(primary.bytes))}\n`] : []),
      ...(standing.readDelayMs === 0 ? [] : [`  shows     what is ${standing.readDelayMs / 1000} s old\n`]),
      ...(primary.pending > 0 ? [`  waiting   ${counted(primary.pending, 'transaction')}\n`] : []),
    ]),
    ...standbys.map(standbyText),
  ].join('');
}

function modeText({ mode, sync, whenGone, patienceMs }: PairStanding): string {
  const after = `after ${patienceMs / 1000} s`;
  if (mode === 'async') return 'async';
  if (sync === 'alone') return 'sync, but NO STANDBY ANSWERS: this node goes on alone';
  if (sync === 'stopped') return 'sync, and NO STANDBY ANSWERS: writes have stopped (--when-gone go-on lets them go on)';
  return `sync (without a standby ${whenGone === 'stop' ? `writes stop ${after}` : `it goes on alone ${after}`})`;
}

function standbyText(item: StandbyItem): string {
  const where = item.address === undefined ? '' : ` at ${item.address}`;
  const link = item.isConnected ? `${item.phase ?? ''} since ${localTime(BigInt(item.sinceMs ?? 0) * 1_000_000n)}` : `not connected${item.isGivenUp === true ? ', and for so long that it will be compared' : ''}`;
  const { oldest, rate = 0 } = item;
  const first = oldest === undefined ? '' : `            first: txn-${oldest.txid} ${oldest.path === undefined ? '' : shown(oldest.path as BytePath)} by ${oldest.command}, ${localTime(BigInt(oldest.timeNs))}\n`;
  return `  standby   ${item.name} (${item.node})${where}: ${link}${lagText(item)}${rate > 0 ? `, ${sizeText(BigInt(rate))} a second` : ''}\n${first}`;
}

function lagText({ lagTransactions, lagSeconds = 0, lagBytes }: StandbyItem): string {
  if (lagTransactions === undefined) return '';
  if (lagTransactions === 0) return ', up to date';
  return `, ${counted(lagTransactions, 'transaction')}${lagBytes === undefined ? '' : `, ${sizeText(BigInt(lagBytes))}`} and ${lagSeconds.toFixed(1)} s behind`;
}

function parseReadAt(value: string): number {
  return value === 'latest' ? 0 : parseDuration(value);
}

function checkedAddress(value: string): Address {
  try {
    return parseAddress(value);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function checkedRate(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError('Write a number of bytes.');
  return Number(value);
}

