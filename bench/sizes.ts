/**
 * How much work each row does. A scale comes in (1 = the published table; smaller for trying out), numbers go out.
 *
 * Invariants:
 * 1. The sizes depend on the scale alone: every target and every round does the same work.
 * 2. Byte sizes are multiples of 1 MiB, counts of at least 1.
 */
const mebibyte = 1 << 20;

export interface Sizes {
  readonly streamBytes: number;
  readonly randomReadCount: number;
  readonly overwriteFileBytes: number;
  readonly overwriteCount: number;
  readonly syncedOverwriteCount: number;
  readonly treeFileCount: number;
  readonly sqliteTransactionCount: number;
  readonly pgbenchSeconds: number;
  readonly agoTransactionCount: number;
  readonly memoryFileCount: number;
  readonly memoryTransactionCount: number;
}

/** @param scale 0 < scale ≤ 10 */
export function sizesFor(scale: number): Sizes {
  const count = (whole: number): number => Math.max(1, Math.round(whole * scale));
  return {
    streamBytes: count(1024) * mebibyte,
    randomReadCount: count(131_072),
    overwriteFileBytes: count(256) * mebibyte,
    overwriteCount: count(65_536),
    syncedOverwriteCount: count(5_000),
    treeFileCount: count(10_000),
    sqliteTransactionCount: count(2_000),
    pgbenchSeconds: Math.max(2, Math.round(20 * scale)),
    agoTransactionCount: count(100_000),
    memoryFileCount: count(1_000_000),
    memoryTransactionCount: count(1_000_000),
  };
}
