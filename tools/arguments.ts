/**
 * Readers for option values; each throws commander's InvalidArgumentError, which ends as wrong usage.
 */
import { isIP } from 'node:net';
import { InvalidArgumentError } from 'commander';

type Units = Readonly<Record<string, number>>;

const shortMs: Units = { ms: 1, s: 1000, m: 60_000 };
const longMs: Units = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes: Units = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** A number and one of these units, rounded; NaN when it is written otherwise. */
function inUnits(text: string, units: Units): number {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text);
  return Math.round(match === null ? NaN : Number(match[1]) * (units[match[2] ?? ''] ?? NaN));
}

/** `500ms`, `1s`, `1m`: 10 ms to 1 minute, in milliseconds. */
export function parseInterval(text: string): number {
  const value = inUnits(text, shortMs);
  if (!(value >= 10 && value <= 60_000)) throw new InvalidArgumentError('Write it like 500ms or 1s, from 10ms to 1m.');
  return value;
}

/** A whole number from 1. */
export function parseCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) throw new InvalidArgumentError('Write a whole number from 1.');
  return value;
}

/** For options that may be given several times. */
export function collect(value: string, previous: readonly string[]): string[] {
  if (value === '') throw new InvalidArgumentError('It must not be empty.');
  return [...previous, value];
}

/** A name that can stand after `.snapshots/@`. */
export function parsePinName(text: string): string {
  if (!/^[^/@\p{Cc}][^/\p{Cc}]*$/u.test(text) || Buffer.byteLength(text) > 200) throw new InvalidArgumentError('A name has no slash, no control characters, no @ in front and at most 200 bytes.');
  return text;
}

export interface Listen {
  readonly address: string;
  readonly port: number;
}

/** `9464`, `0.0.0.0:9464`, `[::]:9464`. */
export function parseListen(text: string): Listen {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:\s]+):)?(\d+)$/.exec(text);
  const address = (match?.[1] ?? '127.0.0.1').replace(/^\[|\]$/g, '');
  const port = Number(match?.[2]);
  if (match === null || isIP(address) === 0) throw new InvalidArgumentError('Write PORT or ADDRESS:PORT, like 9464 or 192.0.2.7:9464 or [::]:9464.');
  if (port < 1 || port > 65535) throw new InvalidArgumentError('A port is a number from 1 to 65535.');
  return { address, port };
}

/** `30s`, `5m`, `2h`, `7d`: one second or more, in milliseconds. */
export function parseDuration(text: string): number {
  const value = inUnits(text, longMs);
  if (!(value >= 1000 && value <= 3650 * 86_400_000)) throw new InvalidArgumentError('Write it like 30s, 5m, 2h or 7d, from 1s to 3650d.');
  return value;
}

/** `64M`, `1G`, in bytes. */
export function parseSize(text: string): number {
  const value = inUnits(text, sizes);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('Write it like 512K, 64M or 1G.');
  return value;
}

/** A number from 0, with a fraction if need be. */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || !Number.isFinite(value)) throw new InvalidArgumentError('Write a number from 0.');
  return value;
}

/** `07:00` */
export function parseTimeOfDay(text: string): string {
  if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(text)) throw new InvalidArgumentError('Write it like 07:00.');
  return text;
}
