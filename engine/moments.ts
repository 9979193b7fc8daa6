/**
 * Moments as people write them. In: a text without "@", and the clock. Out: what it means, without asking any history.
 *
 * Invariants:
 * 1. A name of a whole second means the last nanosecond of that second; a fraction means exactly itself.
 * 2. What `formatMoment` writes, `readMoment` reads as a moment that covers the same second (or is the same nanosecond).
 */

/** What a text means. `startNs`: the first nanosecond it covers, `timeNs`: the last. */
export type Moment = { readonly txid: bigint } | { readonly startNs: bigint; readonly timeNs: bigint };

const absolute = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)[-:](\d\d)(?:[-:](\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?)?$/i;
const previousVersion = /^GMT-(\d{4})\.(\d\d)\.(\d\d)-(\d\d)\.(\d\d)\.(\d\d)$/;
const transaction = /^txn-(\d{1,19})$/;
const duration = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/;
const durationPart = /(\d+)(?:\.(\d+))?(ms|s|m|h|d|w)/g;

const nsPerMs = 1_000_000n;
export const nsPerSecond = 1_000_000_000n;
const unitNs: Readonly<Record<string, bigint>> = {
  ms: nsPerMs, s: nsPerSecond, m: 60n * nsPerSecond, h: 3600n * nsPerSecond, d: 86_400n * nsPerSecond, w: 604_800n * nsPerSecond,
};

/** Undefined when the text is no moment by itself (it may still be a pin's name). */
export function readMoment(text: string, nowNs: bigint): Moment | undefined {
  const number = transaction.exec(text)?.[1];
  if (number !== undefined) return { txid: BigInt(number) };
  if (text === 'now') return exactly(nowNs);
  if (text === 'yesterday') return exactly(nowNs + dayShift(nowNs, -1));
  if (text === 'today') return exactly(startOfDay(nowNs));
  if (duration.test(text)) return exactly(nowNs - durationNs(text));
  return readAbsolute(text);
}

/** `2026-11-22T07-00-00Z`: a name without a colon, which Samba passes on. Whole seconds: the second that holds the time. */
export function formatMoment(timeNs: bigint, precision: 'second' | 'nanosecond'): string {
  const seconds = floorSecond(timeNs) / nsPerSecond;
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19).replaceAll(':', '-');
  if (precision === 'second') return `${text}Z`;
  return `${text}.${(timeNs - seconds * nsPerSecond).toString().padStart(9, '0')}Z`;
}

/** Node's clock counts milliseconds; the end of the present one, so that what has just ended does not lie in the future. */
export function clockNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n + 999_999n;
}

/** RFC 3339, UTC, nanoseconds: 2026-11-22T07:00:00.123456789Z */
export function jsonTime(timeNs: bigint): string {
  const nanoseconds = ((timeNs % nsPerSecond) + nsPerSecond) % nsPerSecond;
  const seconds = (timeNs - nanoseconds) / nsPerSecond;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
  return `${whole}.${nanoseconds.toString().padStart(9, '0')}Z`;
}

/** How people are told a time, local and to the millisecond: 2026-11-22 08:00:00.123 */
export function localTime(timeNs: bigint): string {
  const date = new Date(Number(timeNs / nsPerMs));
  const two = (value: number): string => value.toString().padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${clock}.${date.getMilliseconds().toString().padStart(3, '0')}`;
}

/** The first nanosecond of the second that holds a time. */
export function floorSecond(timeNs: bigint): bigint {
  return timeNs - ((timeNs % nsPerSecond) + nsPerSecond) % nsPerSecond;
}

function readAbsolute(text: string): Moment | undefined {
  const match = absolute.exec(text) ?? previousVersion.exec(text);
  if (match === null) return undefined;
  const zone = text.startsWith('GMT-') ? 'Z' : match[8];
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((index) => Number(match[index] ?? 0)) as [number, number, number, number, number, number];
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  // A day that its month does not have comes back as another day.
  const asUtc = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  if (asUtc.getUTCMonth() !== month - 1 || asUtc.getUTCDate() !== day) return undefined;
  const ms = zone === undefined ? new Date(year, month - 1, day, hour, minute, second).getTime() : asUtc.getTime() - zoneMs(zone);
  const startNs = BigInt(ms) * nsPerMs;
  const fraction = match[7];
  if (fraction !== undefined) return exactly(startNs + BigInt(fraction.padEnd(9, '0')));
  return { startNs, timeNs: startNs + nsPerSecond - 1n };
}

function zoneMs(zone: string): number {
  if (zone.toUpperCase() === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

function durationNs(text: string): bigint {
  let sum = 0n;
  for (const [, whole = '0', fraction = '', unit = ''] of text.matchAll(durationPart)) {
    const nanos = unitNs[unit] ?? 0n;
    const digits = fraction.slice(0, 9);
    sum += BigInt(whole) * nanos + (digits === '' ? 0n : BigInt(digits) * nanos / 10n ** BigInt(digits.length));
  }
  return sum;
}

/** How far the same time of day some days on lies from now: a day is not always 24 hours long. */
function dayShift(nowNs: bigint, days: number): bigint {
  const nowMs = Number(nowNs / nsPerMs);
  const date = new Date(nowMs);
  date.setDate(date.getDate() + days);
  return BigInt(date.getTime() - nowMs) * nsPerMs;
}

function startOfDay(nowNs: bigint): bigint {
  const date = new Date(Number(nowNs / nsPerMs));
  date.setHours(0, 0, 0, 0);
  return BigInt(date.getTime()) * nsPerMs;
}

function exactly(timeNs: bigint): Moment {
  return { startNs: timeNs, timeNs };
}
