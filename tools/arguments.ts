/**
 * Readers for option values; each throws commander's InvalidArgumentError, which ends as wrong usage.
 */
import { InvalidArgumentError } from 'commander';

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** `500ms`, `1s`, `1m`: 10 ms to 1 minute, in milliseconds. */
export function parseInterval(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text);
  const value = match === null ? NaN : Number(match[1]) * (unitsMs[match[2] ?? ''] ?? NaN);
  if (!(value >= 10 && value <= 60_000)) throw new InvalidArgumentError('Write it like 500ms or 1s, from 10ms to 1m.');
  return Math.round(value);
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
