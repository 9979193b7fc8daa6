/**
 * Compares what two nodes of a pair hold: their histories by the checksums of transactions, and trees of several moments by names, attributes and hashes of bytes. In: this node's
 * history, a connection to the other. Out: differences, by name.
 *
 * Invariants:
 * 1. Nothing is changed on either node; the moments compared are held meanwhile.
 * 2. Only moments that both have are compared: each node gives up what its own policy says, and several transactions may have come as one.
 */
import { directoryType, formatMask, regularType } from '../../engine/attributes.js';
import { VolumeError } from '../../engine/index.js';
import type { FileId, Txid } from '../../engine/index.js';
import type { Channel } from './channel.js';
import type { ListedFile } from './messages.js';
import { checksumOf } from './position.js';
import { entriesAt, hashAt } from './questions.js';
import { Asking } from './receiver/asking.js';
import type { Source } from './source.js';

export interface Comparison {
  /** Transactions that both have. */
  readonly transactions: number;
  /** Those whose trees were compared, oldest first. */
  readonly moments: readonly bigint[];
  /** Files and directories looked at, and bytes hashed, over all moments. */
  readonly files: number;
  readonly bytes: number;
  /** A line each; `differencesMax` at most. */
  readonly differences: readonly string[];
}

export const differencesMax = 1000;
const momentsPerQuestion = 5_000;
const hashedAtOnce = 8;

/** `momentsMost`: trees of so many moments are compared, the last one always. Throws VolumeError when the two have no moment in common. */
export async function compareNodes(source: Source, link: Channel, momentsMost: number): Promise<Comparison> {
  const asking = new Asking(link);
  const reading = readAnswers(link, asking);
  const comparing = new Comparing(source, asking);
  try {
    return await comparing.run(momentsMost);
  } finally {
    source.hold(comparing, undefined);
    link.close();
    await reading;
  }
}

class Comparing {
  readonly #source: Source;
  readonly #asking: Asking;
  readonly #differences: string[] = [];
  #files = 0;
  #bytes = 0;

  constructor(source: Source, asking: Asking) {
    this.#source = source;
    this.#asking = asking;
  }

  async run(momentsMost: number): Promise<Comparison> {
    const common = await this.#commonMoments();
    if (common.length === 0) throw new VolumeError('ENOENT', 'the two nodes have no moment in common yet; try again when the initial sync is over');
    const chosen = spread(common, momentsMost);
    for (const txid of chosen) await this.#compareMoment(txid);
    return { transactions: common.length, moments: chosen, files: this.#files, bytes: this.#bytes, differences: this.#differences };
  }

  /** In order. Says which are not the same on both. */
  async #commonMoments(): Promise<Txid[]> {
    await this.#source.settled();
    const common: Txid[] = [];
    for (let after = 0n as Txid; ;) {
      const theirs = await this.#asking.moments(String(after), momentsPerQuestion);
      const last = theirs.at(-1);
      if (last === undefined) return common;
      for (const { txid, checksum } of theirs) {
        const mine = this.#source.transaction(BigInt(txid) as Txid);
        if (mine === undefined) continue;
        common.push(mine.txid);
        if (checksumOf(mine) !== checksum) this.#note(`transaction ${txid}: time or actor are not the same on both`);
      }
      after = BigInt(last.txid) as Txid;
    }
  }

  async #compareMoment(txid: Txid): Promise<void> {
    this.#source.hold(this, txid);
    if (this.#source.transaction(txid) === undefined) return;
    await this.#directory(txid, this.#source.rootId, await this.#asking.at(String(txid)), '');
  }

  async #directory(txid: Txid, mine: FileId, theirs: string, path: string): Promise<void> {
    const [own, other] = await Promise.all([entriesAt(this.#source, txid, mine), this.#asking.list(theirs)]);
    const found = new Map(other.map((entry) => [entry.name, entry]));
    const pairs: (readonly [ListedFile, ListedFile])[] = [];
    for (const entry of own) {
      const peer = found.get(entry.name);
      found.delete(entry.name);
      if (peer === undefined) this.#note(`@txn-${txid} ${path}/${entry.name}: only here`);
      else pairs.push([entry, peer]);
    }
    for (const name of found.keys()) this.#note(`@txn-${txid} ${path}/${name}: only there`);
    for (let start = 0; start < pairs.length; start += hashedAtOnce) {
      await Promise.all(pairs.slice(start, start + hashedAtOnce).map(([one, peer]) => this.#entry(txid, one, peer, path)));
    }
    for (const [one, peer] of pairs) {
      if (one.name !== '.' && isOf(one, directoryType) && isOf(peer, directoryType)) await this.#directory(txid, BigInt(one.file) as FileId, peer.file, `${path}/${one.name}`);
    }
  }

  async #entry(txid: Txid, one: ListedFile, peer: ListedFile, path: string): Promise<void> {
    this.#files++;
    const what = differentFields(one, peer);
    if (what.length === 0 && isOf(one, regularType) && one.size > 0) {
      this.#bytes += one.size;
      const [mine, theirs] = await Promise.all([hashAt(this.#source, txid, BigInt(one.file) as FileId), this.#asking.hash(peer.file)]);
      if (mine !== theirs) what.push('bytes');
    }
    if (what.length > 0) this.#note(`@txn-${txid} ${path}/${one.name}: ${what.join(', ')}`);
  }

  #note(line: string): void {
    // Names have a character a byte on the wire.
    if (this.#differences.length < differencesMax) this.#differences.push(Buffer.from(line, 'latin1').toString());
  }
}

/** Reading on a node changes times of access, there alone; sizes of directories are the file system's. */
function differentFields(one: ListedFile, other: ListedFile): string[] {
  const isDirectory = isOf(one, directoryType);
  const fields: [string, unknown, unknown][] = [
    ['mode', one.mode, other.mode], ['owner', `${one.uid}:${one.gid}`, `${other.uid}:${other.gid}`], ['mtime', one.mtimeNs, other.mtimeNs], ['target', one.target, other.target],
    ['size', isDirectory ? 0 : one.size, isDirectory ? 0 : other.size], ['device', one.rdev, other.rdev], ['xattrs', xattrsOf(one), xattrsOf(other)],
  ];
  return fields.filter(([, mine, theirs]) => mine !== theirs).map(([name]) => name);
}

function xattrsOf({ xattrs }: ListedFile): string {
  return JSON.stringify([...xattrs].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isOf({ mode }: ListedFile, type: number): boolean {
  return (mode & formatMask) === type;
}

/** The last, the first, and others between them. */
function spread(txids: readonly Txid[], most: number): Txid[] {
  if (txids.length <= most) return [...txids];
  const last = txids.length - 1;
  const chosen = Array.from({ length: most }, (_, index) => txids[last - Math.round(index * last / Math.max(1, most - 1))]!);
  return [...new Set(chosen)].reverse();
}

async function readAnswers(link: Channel, asking: Asking): Promise<void> {
  try {
    for (let frame = await link.receive(); frame !== undefined; frame = await link.receive()) asking.take(frame);
    asking.fail(new VolumeError('EIO', 'the other node ended the connection'));
  } catch (error) {
    asking.fail(error instanceof Error ? error : new VolumeError('EIO', String(error)));
  }
}
