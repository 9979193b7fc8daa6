/**
 * What giving up history cost, as a Markdown table. Results come in, text goes out.
 */
import { align } from '../report.js';
import type { Machine } from '../results.js';
import { duration } from '../scale/plot.js';
import type { Percentiles, PruningResults } from './run.js';

/** How much slower others may be meanwhile. */
const mostSlower = 2;
const [mostSeconds, leastGivenBack] = [60, 0.95];

export function pruningTable({ versions, seconds, givenBack, logBytesBefore, logBytesAfter, writes, lookups }: PruningResults, { kernel, processor, cores, node }: Machine): string {
  const rows = [
    ['given up', `under ${mostSeconds} s`, `${seconds.toFixed(1)} s`, verdict(seconds < mostSeconds)],
    ['of the bytes that lost their need, given back by du', `${leastGivenBack * 100} %`, `${(givenBack * 100).toFixed(1)} % (${gigabytes(logBytesBefore)} → ${gigabytes(logBytesAfter)})`, verdict(givenBack >= leastGivenBack)],
    percentilesRow('4 KiB overwrite and its fdatasync', writes),
    percentilesRow('a moment looked up', lookups),
  ];
  const head = [`${versions.toLocaleString('en-GB')} versions`, 'limit', 'measured', ''];
  return [`Measured ${new Date().toISOString().slice(0, 10)}: Linux ${kernel}, ${cores} × ${processor}, ext4 on a loop device, Node ${node}.`, '', ...align([head, head.map(() => '---'), ...rows])].join('\n');
}

function percentilesRow(title: string, { idle, pruning }: Percentiles): string[] {
  const slower = pruning.p99 / idle.p99;
  return [`${title}: p99 idle → while pruning (p50)`, `× ${mostSlower}`, `${duration(idle.p99)} → ${duration(pruning.p99)}, × ${slower.toFixed(2)} (${duration(idle.p50)} → ${duration(pruning.p50)})`, verdict(slower <= mostSlower)];
}

function verdict(isReached: boolean): string {
  return isReached ? 'yes' : 'falls short';
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
