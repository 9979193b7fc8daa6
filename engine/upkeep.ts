/**
 * Looking after an open volume: verify, the scrub, and readings of how it stands. In: the volume's parts. Out: reports, readings.
 */
import { statfs } from 'node:fs/promises';
import type { Reading } from './alarm-rules.js';
import type { IndexService } from './index-service.js';
import type { NativeAddon, NativeVolume } from './native.js';
import type { Paths } from './paths.js';
import type { RoomKeeper } from './room-keeper.js';
import { Scrub } from './scrub.js';
import type { StoreFiles } from './store-files.js';
import type { VerifyReport, VerifyRequest } from './types.js';
import { verifyVolume } from './verify.js';

export interface UpkeepOptions {
  readonly files: StoreFiles;
  readonly addon: NativeAddon;
  readonly native: NativeVolume;
  readonly paths: Paths;
  readonly service: IndexService;
  readonly room: RoomKeeper;
}

export class Upkeep {
  readonly scrub: Scrub;
  /** The store's directory, by descriptor. */
  readonly store: string;
  readonly #options: UpkeepOptions;
  #verifyFaults: number | undefined;

  constructor(options: UpkeepOptions) {
    const { files, native, addon } = options;
    this.#options = options;
    this.store = files.store;
    this.scrub = new Scrub({ files, logState: () => native.logState(), setThreadIdle: addon.setThreadIdle });
  }

  async verify(request: VerifyRequest): Promise<VerifyReport> {
    const { files, native, addon, paths, service } = this.#options;
    await native.settle();
    // What is merging just now would be missed.
    await service.pruned();
    const readUpTo = await service.caughtUp();
    const report = await verifyVolume({ files, native, index: service.store, paths, crc: addon.crc32c, readUpTo, request });
    // One that was ended early knows of fewer faults than there are.
    if (request.signal?.aborted !== true) this.#verifyFaults = report.faults.length;
    return report;
  }

  /** How the volume stands now; whoever keeps samples of the free space adds the forecast, and whoever watches the mount the mass changes. Waits for no disk: one that hangs is what is to be found out. */
  async read(): Promise<Omit<Reading, 'fullInDays' | 'massChange' | 'backups' | 'pair'>> {
    const { files, native, service, room } = this.#options;
    const { bavail, bsize, blocks } = await statfs(files.root);
    const { end, durable } = native.logState();
    const { readUpTo, damaged, gaps, external, transactions } = service.progress;
    return {
      atMs: Date.now(), logEnd: Number(end), logDurable: Number(durable), indexReadUpTo: readUpTo,
      damagedRegions: damaged, gaps, externalTransactions: external, transactions,
      scrubFaults: this.scrub.state.faults.length, scrubFailure: this.scrub.failure, verifyFaults: this.#verifyFaults,
      freeBytes: bavail * bsize, totalBytes: blocks * bsize, room: room.verdict,
    };
  }

  close(): Promise<void> {
    return this.scrub.close();
  }
}
