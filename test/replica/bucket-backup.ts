/** A directory, and runs of its backup to a bucket, without a mount. In: a place. Out: what runs and verifications say. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, verify } from '../../replica/by-place.js';
import { LocalFiles } from '../../replica/local-files.js';
import type { S3Place } from '../../replica/place.js';

export class BucketBackup {
  readonly tree: string;
  readonly local: LocalFiles;
  readonly owner;
  readonly place: S3Place;
  #txid = 0;

  /** `directory`: may be that of another one, which then is the same volume. */
  constructor(directory: string, place: S3Place, name: string) {
    this.tree = join(directory, 'tree');
    mkdirSync(this.tree, { recursive: true });
    this.local = new LocalFiles(directory, 'b');
    this.owner = { volume: 'v', name, directory: this.tree, host: 'h' };
    this.place = place;
  }

  run(change: Partial<Parameters<typeof run>[0]> = {}): ReturnType<typeof run> {
    return run({
      place: this.place, owner: this.owner, local: this.local, root: Buffer.from(this.tree), txid: String(++this.#txid), timeNs: BigInt(Date.now()) * 1_000_000n, changesSince: async () => undefined,
      filter: { include: [], exclude: [] }, ladder: [{ upToMs: Infinity, every: 'transaction' }], bytesPerSecond: Infinity, again: [], onReport: () => undefined, ...change,
    });
  }

  verify(): ReturnType<typeof verify> {
    return verify({ place: this.place, owner: this.owner, local: this.local, percent: 100, onReport: () => undefined });
  }

  put(name: string, bytes: Buffer): void {
    writeFileSync(join(this.tree, name), bytes);
  }
}
