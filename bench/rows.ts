/**
 * The rows of the benchmark table: what is measured, what must be reached, and which group of workloads measures it.
 * Nothing comes in; everything that prints or judges reads this one list.
 *
 * Invariants:
 * 1. A row's id is unique, and is what `--rows` takes.
 * 2. Samples of a row are seconds for the same amount of work (or bytes for memory): less is better.
 * 3. Rows without a bar are there to explain their neighbours; they are never judged.
 */

/** What a row must reach. Ratios are of throughput, 1.0 = equal. */
export type Bar =
  | { readonly kind: 'bare'; readonly atLeast: number }
  /** Against another row measured on the same target. */
  | { readonly kind: 'row'; readonly row: string; readonly atLeast: number }
  | { readonly kind: 'seconds'; readonly below: number }
  | { readonly kind: 'bytes'; readonly below: number };

export interface Row {
  readonly id: string;
  readonly group: string;
  readonly title: string;
  readonly unit: 'seconds' | 'bytes';
  readonly bar: Bar | undefined;
}

export const rows: readonly Row[] = [
  ratio('write-1m', 'stream', 'write a new 1 GiB file, 1 MiB calls, fsync', 0.85),
  ratio('write-4k', 'stream', 'write a new 1 GiB file, 4 KiB calls, fsync', 0.85),
  ratio('read-cold', 'stream', 'read 1 GiB cold, 1 MiB calls', 0.85),
  ratio('read-warm-1m', 'stream', 'read 1 GiB warm, 1 MiB calls', 0.85),
  ratio('read-warm-4k', 'stream', 'read 1 GiB warm, 4 KiB calls', 0.85),
  ratio('read-random', 'stream', 'random 4 KiB read, warm', 0.85),
  ratio('overwrite-1', 'overwrite', 'random 4 KiB overwrite of 256 MiB, 1 writer, final sync included', 0.85),
  ratio('overwrite-4', 'overwrite', 'random 4 KiB overwrite of 256 MiB, 4 writers, final sync included', 0.85),
  plain('overwrite-saving', 'saving', 'the same on the bare directory by a program that first saves what it overwrites'),
  ratio('fdatasync-1', 'overwrite', 'random 4 KiB overwrite with fdatasync after each, 1 writer', 0.9),
  ratio('fdatasync-4', 'overwrite', 'the same, 4 writers', 1.2),
  ratio('fdatasync-4-files', 'overwrite', 'the same, 4 writers, a file each', 1.2),
  ratio('untar', 'tree', 'untar of 10,000 small files', 0.4),
  ratio('find', 'tree', '`find` with stat of each, second time', 0.8),
  ratio('grep', 'tree', '`grep -r`, warm', 0.6),
  ratio('git-status', 'git', '`git status`, 10,000 tracked files, second time', 0.6),
  ratio('rm', 'removal', '`rm -r`', 0.4),
  ratio('sqlite-wal', 'sqlite', 'SQLite, 2,000 single-row transactions, WAL, FULL', 1),
  ratio('sqlite-delete', 'sqlite', 'SQLite, 2,000 single-row transactions, DELETE, FULL', 0.9),
  ratio('pgbench', 'postgres', 'PostgreSQL, `pgbench -c 4 -T 20`', 0.95),
  ratio('pgbench-16', 'postgres', 'PostgreSQL, `pgbench -c 16 -T 20`', 1),
  plain('copy-live', 'snapshot', '`cp -r` of 10,000 files of the live tree'),
  {
    id: 'copy-snapshot', group: 'snapshot', title: '`cp -r` of 10,000 files out of `.snapshots/@T`, never visited, against the live tree',
    unit: 'seconds', bar: { kind: 'row', row: 'copy-live', atLeast: 0.85 },
  },
  plain('copy-live-again', 'snapshot', '`cp -r` of the live tree, second time'),
  plain('copy-snapshot-again', 'snapshot', '`cp -r` out of `.snapshots/@T`, second time'),
  {
    id: 'ago', group: 'ago', title: 'open and read a 4 KiB file as of 100,000 transactions ago',
    unit: 'seconds', bar: { kind: 'seconds', below: 0.002 },
  },
  plain('ago-worst', 'ago', 'the same, slowest of 100'),
  {
    id: 'memory', group: 'memory', title: 'memory of the daemon (RSS) after 1,000,000 files looked up and 1,000,000 transactions',
    unit: 'bytes', bar: { kind: 'bytes', below: 400e6 },
  },
  { id: 'memory-anonymous', group: 'memory', title: 'of it anonymous (RssAnon)', unit: 'bytes', bar: undefined },
];

function ratio(id: string, group: string, title: string, atLeast: number): Row {
  return { id, group, title, unit: 'seconds', bar: { kind: 'bare', atLeast } };
}

function plain(id: string, group: string, title: string): Row {
  return { id, group, title, unit: 'seconds', bar: undefined };
}
