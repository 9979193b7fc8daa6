/** The text that Prometheus reads: every line in its format, histograms cumulative. */
import t from 'tap';
import { alarmNames } from '../../engine/alarm-rules.js';
import type { OperationLatency } from '../../native/types.js';
import { exposition } from '../../tools/exposition.js';
import type { StatusReply } from '../../tools/protocol.js';
import { parseExposition, sampleOf } from '../support/exposition.js';

const volume = (directory: string, ...operations: readonly OperationLatency[]): StatusReply => ({
  id: '0'.repeat(32), txid: '7', lastTimeNs: '1795330800500000000', oldestNs: '0', transactions: 7, historyBytes: '1048576', indexLagBytes: '96', externalTransactions: 0,
  pid: 1, directory, mountpoint: directory, log: '/log', driver: 'native', protocol: '7.45', features: [], knownInodes: 3, openHandles: 2, operations, notices: ['one'], backups: [],
  isKept: true, keptLayout: 1, restarts: { count: 4, lastMs: 1_795_330_800_000, why: 'signal: Killed', pauseMs: 700 },
  alarms: [{ alarm: 'disk', what: 'full', remedy: 'make room', sinceMs: 0, isAcknowledged: false }],
  scrub: { position: 9, progress: 0.25, rounds: 3, roundEndedMs: 1_795_330_800_000, records: 12, faults: [] },
  room: 'enough', disk: { freeBytes: 5, totalBytes: 10, fullInDays: 2 },
});

t.test('every line can be read, and histograms are cumulative', async (t) => {
  const buckets = [{ belowUs: 1, count: 1 }, { belowUs: 1.125, count: 2 }, { belowUs: 2 ** 10, count: 4 }, { belowUs: 2 ** 25, count: 1 }];
  const fsync = { operation: 'fsync', totalUs: 25_000_000, maxUs: 2e7, buckets };
  const samples = parseExposition(await exposition([volume('/one', fsync), volume('/a "b"\\c\nd', fsync)]));
  for (const directory of ['/one', '/a "b"\\c\nd']) {
    const of = { volume: directory, operation: 'fsync' };
    const bucket = (le: string): number => sampleOf(samples, 'tidemark_request_duration_seconds_bucket', { ...of, le });
    t.equal(bucket('0.000001'), 1);
    t.equal(bucket('0.000002'), 3);
    t.equal(bucket('0.001024'), 7);
    t.equal(bucket('16.777216'), 7, 'one took longer');
    t.equal(bucket('+Inf'), 8);
    t.equal(sampleOf(samples, 'tidemark_request_duration_seconds_count', of), 8);
    t.equal(sampleOf(samples, 'tidemark_request_duration_seconds_sum', of), 25);
    const bounds = samples.filter(({ labels }) => labels['volume'] === directory && labels['le'] !== undefined).map(({ labels, value }) => [Number(labels['le']?.replace('+Inf', 'Infinity')), value] as const);
    t.equal(bounds.length, 26);
    t.ok(bounds.every(([le, count], index) => index === 0 || (le > (bounds[index - 1]?.[0] ?? 0) && count >= (bounds[index - 1]?.[1] ?? 0))), 'both go up');
  }
});

t.test('the other numbers of a volume', async (t) => {
  const samples = parseExposition(await exposition([volume('/one')]));
  const numbers = Object.fromEntries(samples.filter(({ name }) => name !== 'tidemark_alarm').map(({ name, value }) => [name, value]));
  t.strictSame(numbers, {
    tidemark_history_bytes: 1048576,
    tidemark_last_txid: 7,
    tidemark_last_transaction_timestamp_seconds: 1795330800.5,
    tidemark_index_lag_bytes: 96,
    tidemark_known_inodes: 3,
    tidemark_open_handles: 2,
    tidemark_daemon_restarts: 4,
    tidemark_notices: 1,
    tidemark_scrub_progress_ratio: 0.25,
    tidemark_scrub_rounds: 3,
    tidemark_scrub_round_end_timestamp_seconds: 1795330800,
    tidemark_scrub_records: 12,
    tidemark_scrub_faults: 0,
    tidemark_disk_free_bytes: 5,
    tidemark_disk_size_bytes: 10,
    tidemark_disk_full_seconds: 172800,
  });
  const alarms = samples.filter(({ name }) => name === 'tidemark_alarm');
  t.same(alarms.map(({ labels }) => labels['alarm']), alarmNames, 'each has a series');
  t.same(alarms.filter(({ value }) => value === 1).map(({ labels }) => labels['alarm']), ['disk']);
});

t.test('no volume, no text', async (t) => {
  t.equal(await exposition([]), '');
});
