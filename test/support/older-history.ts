/**
 * Makes a history old: a test writes ten thousand transactions in seconds, but what is listed depends on how they lie in time. In: a volume that
 * is not mounted. Out: the same, its transactions spread evenly over the time up to now.
 *
 * Invariants:
 * 1. Only the times of ENDs and their checksums change; times still grow with txids.
 */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from '../../engine/crc32c.js';
import { alignRecord, plausibleHeader, recordHeaderBytes, recordType, segmentHeaderBytes, soundRecord } from '../../engine/log-format.js';

/** Spreads the transactions of a volume over the last `spanMs` milliseconds. The index is made again at the next mount. */
export function spreadOver(directory: string, spanMs: number): void {
  const store = join(directory, '.tidemark');
  const segments = readdirSync(join(store, 'log')).filter((name) => name.endsWith('.log')).sort().map((name) => {
    const path = join(store, 'log', name);
    const bytes = readFileSync(path);
    return { path, bytes, ends: endsOf(bytes) };
  });
  const count = segments.reduce((sum, { ends }) => sum + ends.length, 0);
  const firstMs = Date.now() - spanMs;
  let done = 0;
  for (const { path, bytes, ends } of segments) {
    for (const at of ends) {
      bytes.writeBigInt64LE(BigInt(Math.floor(firstMs + (++done * spanMs) / (count + 1))) * 1_000_000n, at + recordHeaderBytes);
      bytes.writeUInt32LE(crc32c(bytes.subarray(at + 4, at + bytes.readUInt32LE(at + 4))), at);
    }
    writeFileSync(path, bytes);
  }
  const described = join(store, 'volume.json');
  const volume = JSON.parse(readFileSync(described, 'utf8')) as object;
  writeFileSync(described, JSON.stringify({ ...volume, created: new Date(firstMs).toISOString() }));
  rmSync(join(store, 'index'), { recursive: true, force: true });
}

/** Where the ENDs of a segment stand. Throws when something else stands between records than zeros. */
function endsOf(bytes: Buffer): number[] {
  const ends: number[] = [];
  let at = segmentHeaderBytes;
  while (at + recordHeaderBytes <= bytes.length && plausibleHeader(bytes, at)) {
    if (!soundRecord(bytes, at, crc32c)) throw new Error(`a damaged record at ${at}`);
    if (bytes[at + 8] === recordType.end) ends.push(at);
    at += alignRecord(bytes.readUInt32LE(at + 4));
  }
  return ends;
}
