/**
 * The state of mounted volumes as Prometheus reads it (text format 0.0.4). What the daemons answered comes in, text goes out.
 *
 * Invariants:
 * 1. Every series has the label `volume`, the protected directory, so that the files of several volumes can be put together.
 * 2. A histogram's buckets are cumulative and its "+Inf" equals its count, also while requests come: all are made of the same numbers.
 * 3. The bounds `le` never change, and lie on borders of the addon's buckets, so nothing is interpolated.
 */
import { AggregatorRegistry } from 'prom-client';
import { alarmNames } from '../engine/alarm-rules.js';
import { kindOf } from './backup/names.js';
import type { Kind } from './backup/names.js';
import type { BackupItem } from './backup/shown.js';
import { countBelow, countOf } from './latency.js';
import type { StatusReply } from './protocol.js';

/** 1 µs, 2 µs, 4 µs … 2^24 µs (16.8 s). */
const boundsUs: readonly number[] = Array.from({ length: 25 }, (_, power) => 2 ** power);

/** A metric in the form in which prom-client hands metrics from process to process (Registry.getMetricsAsJSON). */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'histogram';
  readonly aggregator: 'first';
  readonly values: readonly Value[];
}

interface Value {
  /** Where it is not the metric's own. */
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** The text for the volumes given; none for none. */
export async function exposition(volumes: readonly StatusReply[]): Promise<string> {
  if (volumes.length === 0) return '';
  // The daemons count and this process prints, which is what prom-client's aggregation is for. Its own Histogram takes one observation at a time.
  return AggregatorRegistry.aggregate(volumes.map(metricsOf)).metrics();
}

function metricsOf(status: StatusReply): Metric[] {
  const gauge = (name: string, help: string, value: number): Metric => ({ name, help, type: 'gauge', aggregator: 'first', values: [{ labels: { volume: status.directory }, value }] });
  return [
    gauge('tidemark_history_bytes', 'Bytes of the history on the disk: log, index and removed files.', Number(status.historyBytes)),
    gauge('tidemark_last_txid', 'Number of the last transaction that has ended.', Number(status.txid)),
    gauge('tidemark_last_transaction_timestamp_seconds', 'When the last transaction ended, in seconds since 1970.', Number(status.lastTimeNs) / 1e9),
    gauge('tidemark_index_lag_bytes', 'Bytes of the log that the index has not read yet.', Number(status.indexLagBytes)),
    gauge('tidemark_known_inodes', 'Inodes that the kernel knows of the live tree.', status.knownInodes),
    gauge('tidemark_open_handles', 'Open files and directories of the live tree.', status.openHandles),
    gauge('tidemark_daemon_restarts', 'How often the daemon was started again since the volume was mounted.', status.restarts?.count ?? 0),
    gauge('tidemark_notices', 'Notices that `tidemark status` shows.', status.notices.length),
    ...upkeepMetrics(status, gauge),
    ...backupMetrics(status),
    durations(status),
  ];
}

type Gauge = (name: string, help: string, value: number) => Metric;

/** Alarms, scrub, disk. */
function upkeepMetrics({ directory, alarms, scrub, disk }: StatusReply, gauge: Gauge): Metric[] {
  const raised = new Set(alarms.map(({ alarm }) => alarm));
  const states = alarmNames.map((alarm): Value => ({ labels: { volume: directory, alarm }, value: raised.has(alarm) ? 1 : 0 }));
  return [
    { name: 'tidemark_alarm', help: '1 while the alarm is raised.', type: 'gauge', aggregator: 'first', values: states },
    gauge('tidemark_scrub_progress_ratio', 'How much of the present round of the scrub is done.', scrub.progress),
    gauge('tidemark_scrub_rounds', 'Whole rounds of the scrub until now.', scrub.rounds),
    gauge('tidemark_scrub_round_end_timestamp_seconds', 'When the last whole round of the scrub ended, in seconds since 1970; 0 for none.', scrub.roundEndedMs / 1000),
    gauge('tidemark_scrub_records', 'Sound records that the scrub has read, of all rounds.', scrub.records),
    gauge('tidemark_scrub_faults', 'Damaged places of the log that the scrub knows of.', scrub.faults.length),
    ...(disk === undefined ? [] : [
      gauge('tidemark_disk_free_bytes', 'Bytes that are free on the disk.', disk.freeBytes),
      gauge('tidemark_disk_size_bytes', 'Bytes that the disk has.', disk.totalBytes),
    ]),
    // It has no value while the disk is not filling: a series that is absent, not a number that means something else.
    ...(disk?.fullInDays === undefined ? [] : [gauge('tidemark_disk_full_seconds', 'When the disk will be full at the present rate, in seconds from now.', disk.fullInDays * 86_400)]),
  ];
}

/** One series for each backup, and for each sync. */
function backupMetrics({ directory, backups }: StatusReply): Metric[] {
  const seriesOf = (kind: Kind) => (name: string, help: string, value: (item: BackupItem) => number | undefined): Metric => ({
    name: `tidemark_${kind}_${name}`, help, type: 'gauge', aggregator: 'first',
    values: backups.filter(({ config }) => kindOf(config) === kind).flatMap((item): Value[] => {
      const found = value(item);
      return found === undefined ? [] : [{ labels: { volume: directory, [kind]: item.config.name }, value: found }];
    }),
  });
  const [ofBackup, ofSync] = [seriesOf('backup'), seriesOf('sync')];
  const both = (of: typeof ofBackup, what: string): Metric[] => [
    of('last_success_timestamp_seconds', `When the last run of the ${what} that ended well began, in seconds since 1970.`, ({ succeededMs }) => succeededMs === undefined ? undefined : succeededMs / 1000),
    of('running', `1 while the ${what} is at work.`, ({ doing }) => (doing === undefined ? 0 : 1)),
    of('done_bytes', 'Bytes that the run under way has sent or read.', ({ doing }) => doing?.report?.doneBytes),
    of('total_bytes', 'Bytes that the run under way has to send or read.', ({ doing }) => doing?.report?.totalBytes),
  ];
  const all = [
    ...both(ofBackup, 'backup'),
    ofBackup('snapshot_timestamp_seconds', 'Of when the destination has the volume, in seconds since 1970.', ({ timeNs }) => timeNs === undefined ? undefined : Number(timeNs) / 1e9),
    ofBackup('files', 'Files at the destination.', ({ files }) => files),
    ofBackup('bytes', 'Bytes of the files at the destination.', ({ bytes }) => bytes),
    ofBackup('faults', 'What is wrong with the backup: failed runs, verifications and test restores.', ({ faults }) => faults.length),
    ...both(ofSync, 'sync'),
    ofSync('files', 'Files that both sides have.', ({ files }) => files),
    ofSync('bytes', 'Bytes of the files that both sides have.', ({ bytes }) => bytes),
    ofSync('faults', 'Runs that failed and were not made good since.', ({ faults }) => faults.length),
    ofSync('conflicts', 'Files that both sides changed, left to somebody to decide.', ({ conflicts }) => conflicts.length),
  ];
  return all.filter(({ values }) => values.length > 0);
}

function durations(status: StatusReply): Metric {
  const name = 'tidemark_request_duration_seconds';
  const values = status.operations.flatMap((latency): Value[] => {
    const labels = { volume: status.directory, operation: latency.operation };
    const count = countOf(latency);
    return [
      ...boundsUs.map((boundUs) => ({ metricName: `${name}_bucket`, labels: { ...labels, le: boundUs / 1e6 }, value: countBelow(latency, boundUs) })),
      { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count },
      { metricName: `${name}_sum`, labels, value: latency.totalUs / 1e6 },
      { metricName: `${name}_count`, labels, value: count },
    ];
  });
  return { name, help: 'Time from when a request of the kernel was read until it was answered.', type: 'histogram', aggregator: 'first', values };
}
