/**
 * How values look to people and in JSON: times, sizes, users, tables. Values come in as the engine has them, text goes out.
 *
 * Invariants:
 * 1. JSON times are RFC 3339 in UTC with nine decimals; times for people are local.
 * 2. JSON numbers stay exact: transactions and bytes are below 2^53.
 */
import { readFileSync } from 'node:fs';

export { jsonTime, localTime } from '../engine/moments.js';

/** A time of JavaScript's clock, as the others are. */
export function nsOfMs(ms: number): bigint {
  return BigInt(Math.round(ms)) * 1_000_000n;
}

/** 512 B, 4.0 KiB, 1.5 GiB */
export function sizeText(bytes: bigint | number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** "1 file", "2 files" */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? singular : plural}`;
}

/** drwxr-xr-x, with s and t where they apply. */
export function modeText(mode: number): string {
  const types: Readonly<Record<number, string>> = { 0o01: 'p', 0o02: 'c', 0o04: 'd', 0o06: 'b', 0o10: '-', 0o12: 'l', 0o14: 's' };
  const triple = (bits: number, special: boolean, letter: string): string => {
    const execute = (bits & 1) !== 0;
    const last = special ? (execute ? letter : letter.toUpperCase()) : execute ? 'x' : '-';
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${last}`;
  };
  const type = types[(mode >> 12) & 0o17] ?? '?';
  return type + triple((mode >> 6) & 7, (mode & 0o4000) !== 0, 's') + triple((mode >> 3) & 7, (mode & 0o2000) !== 0, 's') + triple(mode & 7, (mode & 0o1000) !== 0, 't');
}

/** file, directory, symlink, … for the type bits of a mode. */
export function typeText(mode: number): string {
  const types: Readonly<Record<number, string>> = { 0o01: 'fifo', 0o02: 'character device', 0o04: 'directory', 0o06: 'block device', 0o10: 'file', 0o12: 'symlink', 0o14: 'socket' };
  return types[(mode >> 12) & 0o17] ?? 'unknown';
}

let users: Map<number, string> | undefined;

/** The login name of a user id; the number where there is none. */
export function userText(uid: number): string {
  users ??= readUsers();
  return users.get(uid) ?? uid.toString();
}

function readUsers(): Map<number, string> {
  const names = new Map<number, string>();
  let passwd = '';
  try {
    passwd = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return names; // Numbers are shown instead.
  }
  for (const line of passwd.split('\n')) {
    const [name, , uid] = line.split(':');
    if (name !== undefined && uid !== undefined && !names.has(Number(uid))) names.set(Number(uid), name);
  }
  return names;
}

/** Rows in columns as wide as needed; the last column runs free. Columns named in `right` (by index) stand right-aligned. `widths` are those of rows before, and grow. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = [], widths: number[] = []): string {
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (right.includes(column) ? cell.padStart(widths[column] ?? 0) : column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ');
  return rows.map((row) => `${line(row)}\n`).join('');
}

/** A JSON array with one element on a line, so that it can be parsed whole and read by eye. */
export function jsonArray(elements: readonly unknown[]): string {
  return elements.length === 0 ? '[]\n' : `[\n${elements.map((element) => JSON.stringify(element)).join(',\n')}\n]\n`;
}
