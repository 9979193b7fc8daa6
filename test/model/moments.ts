/**
 * Which transaction a time means, asked of the daemon over one connection that stays: a command for each would
 * start thousands of processes.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ControlClient } from '../../tools/control-client.js';
import type { RegistryEntry } from '../../tools/registry.js';
import type { Mount } from '../support/mount.js';
import { comesBack } from '../support/stuck.js';

export class Moments {
  readonly #client: ControlClient;
  readonly #pid: number;

  private constructor(client: ControlClient, pid: number) {
    this.#client = client;
    this.#pid = pid;
  }

  static async connect(mount: Mount): Promise<Moments> {
    for (const name of readdirSync(mount.runtime).filter((file) => file.endsWith('.json'))) {
      const entry = JSON.parse(readFileSync(join(mount.runtime, name), 'utf8')) as RegistryEntry;
      if (entry.pid === mount.pid) return new Moments(await ControlClient.connect(entry), entry.pid);
    }
    throw new Error(`no daemon is registered in ${mount.runtime}`);
  }

  /** A time as it is written in `.snapshots/@…`, to the nanosecond. */
  nameOf(timeNs: bigint): string {
    const date = new Date(Number(timeNs / 1_000_000n)).toISOString().slice(0, 19).replaceAll(':', '-');
    return `${date}.${String(timeNs % 1_000_000_000n).padStart(9, '0')}Z`;
  }

  /** The end of the newest transaction, ns; what is open is ended first. */
  async now(): Promise<bigint> {
    return BigInt((await this.last()).timeNs);
  }

  /** The newest transaction; what is open is ended first. */
  async last(): Promise<{ readonly txid: string; readonly timeNs: string }> {
    return this.#moment('0s');
  }

  async isKept(txid: string): Promise<boolean> {
    return this.#moment(`txn-${txid}`).then(() => true, () => false);
  }

  async transactionAt(name: string): Promise<string> {
    return (await this.#moment(name)).txid;
  }

  /** The end of a transaction, ns. Throws when there is none of this number. */
  async timeOf(txid: string): Promise<bigint> {
    return BigInt((await this.#moment(`txn-${txid}`)).timeNs);
  }

  close(): void {
    this.#client.close();
  }

  #moment(text: string): Promise<{ readonly txid: string; readonly timeNs: string }> {
    return comesBack(this.#client.ask('moment', { text }), `the moment ${text}`, () => [this.#pid]);
  }
}
