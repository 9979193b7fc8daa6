/**
 * Looking after an open volume: verify. In: the volume's parts. Out: reports.
 */
import type { IndexService } from './index-service.js';
import type { NativeAddon, NativeVolume } from './native.js';
import type { Paths } from './paths.js';
import type { StoreFiles } from './store-files.js';
import type { VerifyReport, VerifyRequest } from './types.js';
import { verifyVolume } from './verify.js';

export interface UpkeepOptions {
  readonly files: StoreFiles;
  readonly addon: NativeAddon;
  readonly native: NativeVolume;
  readonly paths: Paths;
  readonly service: IndexService;
}

export class Upkeep {
  readonly #options: UpkeepOptions;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  async verify(request: VerifyRequest): Promise<VerifyReport> {
    const { files, native, addon, paths, service } = this.#options;
    await native.settle();
    const readUpTo = await service.caughtUp();
    return verifyVolume({ files, native, index: service.store, paths, crc: addon.crc32c, readUpTo, request });
  }
}
