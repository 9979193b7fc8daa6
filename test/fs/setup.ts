/** A volume in memory with the requests and the kernel's side connected to it. */
import { compileExcludes } from '../../engine/excludes.js';
import { SnapshotRequests } from '../../fs/requests.js';
import { Kernel } from './kernel.js';
import { MemoryVolume } from './memory-volume.js';

export interface Setup {
  readonly volume: MemoryVolume;
  readonly requests: SnapshotRequests;
  readonly kernel: Kernel;
  readonly lines: string[];
}

/** 2026-11-22T07:00:00Z in ns. */
export const sevenNs = BigInt(Date.UTC(2026, 10, 22, 7)) * 1_000_000n;
export const secondNs = 1_000_000_000n;

export function connect(options: { readonly access?: 'then-and-now' | 'then'; readonly excludes?: readonly string[] } = {}): Setup {
  const volume = new MemoryVolume();
  const lines: string[] = [];
  const requests = new SnapshotRequests(volume, volume, {
    access: options.access ?? 'then-and-now',
    owner: { uid: 0, gid: 0 },
    excludes: compileExcludes(options.excludes ?? []),
    log: (line) => lines.push(line),
  });
  const kernel = new Kernel(requests);
  requests.attach(kernel);
  return { volume, requests, kernel, lines };
}
