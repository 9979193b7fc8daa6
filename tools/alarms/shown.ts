/**
 * How the looking-after of a volume looks in `status` and `alarms`: for people and as JSON. Pure.
 */
import { jsonTime, localTime, nsOfMs, sizeText } from '../format.js';
import type { AlarmItem, UpkeepFacts } from '../protocol.js';
import { sinkName } from './config.js';
import type { AlarmConfig, Sink } from './config.js';
import { scrubText } from './digest.js';

const roomTexts: Readonly<Record<UpkeepFacts['room'], string | undefined>> = {
  enough: undefined,
  short: 'the disk is almost full: the oldest history is being given up',
  none: 'the disk is full and no more history may be given up (`tidemark policy --at-least`, pins): who writes is told so',
};

/** The lines of `status`. */
export function textUpkeep(facts: UpkeepFacts): string {
  const { scrub, disk, alarms, room } = facts;
  const days = disk?.fullInDays === undefined ? '' : `, full in ${disk.fullInDays.toFixed(1)} days at the present rate`;
  return [
    ...(disk === undefined ? [] : [`  disk      ${sizeText(disk.freeBytes)} of ${sizeText(disk.totalBytes)} free${days}\n`]),
    ...(roomTexts[room] === undefined ? [] : [`  room      ${roomTexts[room]}\n`]),
    `  scrub     ${scrubText(scrub, scrub.progress).replace(/^scrub: /, '')}\n`,
    ...alarms.map((item) => `  ALARM     ${alarmText(item)}\n`),
  ].join('');
}

export function jsonUpkeep({ scrub, disk, alarms, room }: UpkeepFacts): object {
  return {
    room,
    freeBytes: disk?.freeBytes ?? null,
    diskFullInDays: disk?.fullInDays ?? null,
    scrub: {
      position: scrub.position, progress: scrub.progress, rounds: scrub.rounds, lastRound: scrub.rounds === 0 ? null : jsonMs(scrub.roundEndedMs), records: scrub.records,
      faults: scrub.faults, failure: scrub.failure ?? null,
    },
    alarms: alarms.map(({ alarm, what, remedy, sinceMs, isAcknowledged }) => ({ alarm, what, remedy, since: jsonMs(sinceMs), acknowledged: isAcknowledged })),
  };
}

export function alarmText({ alarm, what, remedy, sinceMs, isAcknowledged }: AlarmItem): string {
  return `${alarm}: ${what}, since ${localTime(nsOfMs(sinceMs))}${isAcknowledged ? ' (acknowledged)' : ''}; ${remedy}`;
}

/** All there is to choose, and the options that choose it. */
export function textConfig(config: AlarmConfig): string {
  const { limits, scrub, massChange, sinks } = config;
  return [
    ...(sinks.length === 0 ? ['  no sinks: nobody is told (--add-sink)\n'] : sinks.map((sink) => `  sink      ${textSink(sink)}\n`)),
    `  checked   every ${durationText(config.checkEveryMs)} (--check-every), digest at ${config.digestAt} (--digest-at)\n`,
    `  index     ${sizeText(limits.indexLagBytes)} behind, or standing still, for ${durationText(limits.indexLagMs)} (--index-lag, --index-lag-time)\n`,
    `  log       not synced for ${durationText(limits.logSyncMs)} though records wait (--log-sync-time)\n`,
    `  disk      full in ${limits.diskDays} days (--disk-days), or less than ${limits.diskFreePercent} % (at most 50 GiB) free (--disk-free)\n`,
    `  scrub     a round in ${durationText(scrub.roundMs)} (--scrub-round), at most ${sizeText(scrub.bytesPerSecond)} a second (--scrub-rate)\n`,
    `  mass      ${massChange.mode}, from ${massChange.files} files overwritten within 10 s, or ${Math.ceil(massChange.files * 1.5)} removed or renamed (--mass-change, --mass-change-files)\n`,
  ].join('');
}

export function jsonConfig(config: AlarmConfig): object {
  const { checkEveryMs, digestAt, limits, scrub, massChange, sinks } = config;
  return { sinks: sinks.map((sink) => ({ name: sinkName(sink), ...sink })), checkEveryMs, digestAt, limits, scrubRoundMs: scrub.roundMs, scrubBytesPerSecond: scrub.bytesPerSecond, massChange };
}

function textSink(sink: Sink): string {
  const digest = sink.digest ? ', also the digest' : '';
  if (sink.type !== 'mail') return `${sinkName(sink)}${digest}`;
  const password = sink.passwordFile ?? (sink.passwordVariable === undefined ? undefined : `$${sink.passwordVariable}`);
  return `${sinkName(sink)} from ${sink.from} by ${sink.smtp}${password === undefined ? '' : `, password in ${password}`}${digest}`;
}

/** 90s, 5m, 2h, 7d: in the largest unit that leaves no fraction. */
export function durationText(ms: number): string {
  for (const [unit, unitMs] of [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000]] as const) {
    if (ms >= unitMs && ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${ms / 1000}s`;
}

function jsonMs(ms: number): string {
  return jsonTime(nsOfMs(ms));
}
