/** What backups took, as a Markdown table. Results come in, text goes out. */
import { align } from '../report.js';
import type { Machine } from '../results.js';
import type { BackupBenchResults, Seconds } from './run.js';

const leastOfCopy = 0.8;
const mostOfOne = 1.2;
const mostChangeSeconds = 1;

export function backupTable({ files, changes, connections, seconds }: BackupBenchResults, { kernel, processor, cores, node }: Machine): string {
  const of = (what: keyof Seconds): string => (seconds[what].length === 0 ? 'not installed' : `${median(seconds[what]).toFixed(2)} s`);
  const ratio = (limit: keyof Seconds, what: keyof Seconds): number => (seconds[limit].length === 0 ? Number.NaN : median(seconds[limit]) / median(seconds[what]));
  const copied = ratio('cp', 'first');
  const sent = ratio('lftp', 'ftp');
  const two = 1 / ratio('first', 'two');
  const rows = [
    ['first copy to a directory', `${leastOfCopy} of cp -r`, of('first'), `cp -r ${of('cp')}, rsync ${of('rsync')}, restic ${of('restic')}`, `${copied.toFixed(2)}: ${verdict(copied >= leastOfCopy)}`],
    ['first copy to two directories at once', `${mostOfOne} of one`, of('two'), '', `${two.toFixed(2)}: ${verdict(two <= mostOfOne)}`],
    [`a run after ${changes} changes`, `${mostChangeSeconds} s`, of('change'), `rsync ${of('changeRsync')}, restic ${of('changeRestic')}`, verdict(median(seconds.change) < mostChangeSeconds)],
    [`first copy to an FTP server, ${connections} connections`, `${leastOfCopy} of lftp's mirror`, of('ftp'), `lftp ${of('lftp')}`, Number.isNaN(sent) ? '' : `${sent.toFixed(2)}: ${verdict(sent >= leastOfCopy)}`],
  ];
  const head = [`${files.toLocaleString('en-GB')} files of 4 KiB`, 'limit', 'tidemark', 'others', ''];
  return [`Measured ${new Date().toISOString().slice(0, 10)}: Linux ${kernel}, ${cores} × ${processor}, Node ${node}; medians of ${seconds.cp.length} rounds.`, '', ...align([head, head.map(() => '---'), ...rows])].join('\n');
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function verdict(isReached: boolean): string {
  return isReached ? 'yes' : 'falls short';
}
