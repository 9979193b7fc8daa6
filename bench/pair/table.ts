/** What a pair took, as a Markdown table. Results come in, text goes out. */
import { align } from '../report.js';
import type { Machine } from '../results.js';
import { duration } from '../scale/plot.js';
import { bytesPerWrite } from './lag.js';
import type { Lag } from './lag.js';
import type { FollowerName, PairBenchResults } from './run.js';

const leastOfAlone = 0.9;
const [longestMiddle, longestLag] = [0.05, 0.5];
const leastOfTls = 0.6;
const peers = ['lsyncd', 'syncthing'] as const;

export function pairTable(results: PairBenchResults, { kernel, processor, cores, node }: Machine): string {
  const { options: { rounds, files, commits, bulkBytes, initialFiles, writes, rate }, cost, bulk, initial } = results;
  const ofAlone = (title: string, work: 'files' | 'sqlite'): string[] => {
    const ratio = median(cost[work].alone) / median(cost[work].paired);
    return [title, `${leastOfAlone} of a volume without standby`, ratio.toFixed(2), `${seconds(cost[work].alone)} alone`, verdict(ratio >= leastOfAlone)];
  };
  const ofTls = median(bulk.tls) / median(bulk.pair);
  const ofRsync = median(initial.rsync) / median(initial.pair);
  const rows = [
    ofAlone(`${count(files)} files out of an archive, on the primary`, 'files'),
    ofAlone(`${count(commits)} commits of SQLite (WAL, FULL), on the primary`, 'sqlite'),
    ...lagRows(results),
    [`a file of ${bulkBytes >> 20} MiB, from its first byte written to its last one seen`, `${leastOfTls} of a bare TLS copy`, `${ofTls.toFixed(2)} (${seconds(bulk.pair)})`, `TLS ${seconds(bulk.tls)}`, verdict(ofTls >= leastOfTls)],
    syncRow(results),
    [`first copy of ${count(initialFiles)} files of 4 KiB`, 'as fast as rsync -a', `${ofRsync.toFixed(2)} (${seconds(initial.pair)})`, `rsync ${seconds(initial.rsync)}`, verdict(ofRsync >= 1)],
  ];
  const head = [`${count(writes)} small writes, ${count(rate)} a second, and more`, 'limit', 'tidemark', 'others', ''];
  const rates = `Writes that were made in a second: ${Object.entries(results.lag).map(([name, lags]) => `${name} ${count(Math.round(median(lags.map((lag) => lag.rate))))}`).join(', ')}.`;
  return [`Measured ${new Date().toISOString().slice(0, 10)}: Linux ${kernel}, ${cores} × ${processor}, Node ${node}; medians of ${rounds} rounds. ${rates}`, '', ...align([head, head.map(() => '---'), ...rows])].join('\n');
}

function lagRows({ lag, options: { writes } }: PairBenchResults): string[][] {
  const of = (name: FollowerName, pick: (lag: Lag) => number): number => median(lag[name].map(pick));
  const others = (tell: (name: FollowerName) => string): string => peers.map((name) => (lag[name].length === 0 ? `${name} not installed` : `${name} ${tell(name)}`)).join(', ');
  const middle = of('tidemark', ({ p50 }) => p50);
  const most = of('tidemark', ({ p99 }) => p99);
  // What it takes beyond the writes themselves, and looking for them.
  const perByte = (name: FollowerName): number => (of(name, ({ processorSeconds }) => processorSeconds) - of('bare', ({ processorSeconds }) => processorSeconds)) / writes / bytesPerWrite;
  const isAhead = peers.every((name) => lag[name].length === 0 || (middle < of(name, ({ p50 }) => p50) && most < of(name, ({ p99 }) => p99)));
  const isCheaper = peers.every((name) => lag[name].length === 0 || perByte('tidemark') < perByte(name));
  return [
    ['from close() to visible there, median', `${longestMiddle * 1000} ms`, duration(middle), others((name) => duration(of(name, ({ p50 }) => p50))), verdict(middle <= longestMiddle)],
    ['…, p99', `${longestLag * 1000} ms, ahead of the others`, duration(most), others((name) => duration(of(name, ({ p99 }) => p99))), verdict(most <= longestLag && isAhead)],
    ['processor time for a byte written, both nodes', 'less than the others', `${microseconds(perByte('tidemark'))}, ${microseconds(perByte('volume'))} of it keeping history`, others((name) => microseconds(perByte(name))), verdict(isCheaper)],
  ];
}

/** One round trip and what a sync takes there are allowed on top of what it takes here. */
function syncRow({ cost, roundTrip }: PairBenchResults): string[] {
  const alone = median(cost.fsync.alone);
  const [paired, synced] = [median(cost.fsync.paired), median(cost.fsyncSync)];
  const limit = 2 * alone + roundTrip;
  return ['4 KiB overwrite and its fdatasync, mode sync', `${duration(limit)}: here, a round trip (${duration(roundTrip)}), there`, duration(synced), `${duration(alone)} without standby, ${duration(paired)} in mode async`, verdict(synced <= limit)];
}

function seconds(values: readonly number[]): string {
  return values.length === 0 ? 'not installed' : `${median(values).toFixed(2)} s`;
}

function microseconds(value: number): string {
  return `${(value * 1e6).toFixed(2)} µs`;
}

function count(value: number): string {
  return value.toLocaleString('en-GB');
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function verdict(isReached: boolean): string {
  return isReached ? 'yes' : 'falls short';
}
