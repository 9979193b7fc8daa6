/** Attacks on a volume's files, and what became known of them: for the tests of mass changes. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Message } from '../../tools/alarms/message.js';
import type { Mount } from '../support/mount.js';
import { until } from '../support/processes.js';

export const filesInAll = 5000;
const folders = 50;

export function textOf(number: number): string {
  return `This is what stands in file ${number}, and nobody else has it.\n`.repeat(2 + (number % 40));
}

export function nameOf(number: number): string {
  return `${number % folders}/file ${number}.txt`;
}

/** 5,000 text files in 50 directories. */
export function makeFiles(directory: string): void {
  for (let folder = 0; folder < folders; folder += 1) mkdirSync(join(directory, String(folder)));
  for (let number = 0; number < filesInAll; number += 1) writeFileSync(join(directory, nameOf(number)), textOf(number));
}

/** Goes through the files from a number on; what is done with each is Python. */
function program(from: number, step: string): string[] {
  return ['python3', '-c', [
    'import os', `for n in range(${from}, ${filesInAll}):`, `  f = f"{n % ${folders}}/file {n}.txt"`, '  if not os.path.exists(f): continue', ...step.split('\n').map((line) => `  ${line}`),
  ].join('\n')];
}

/** The same as a shell that starts a process or two for each file. */
function shell(from: number, step: string): string[] {
  return ['sh', '-c', `n=${from}; while [ $n -lt ${filesInAll} ]; do f="$((n % ${folders}))/file $n.txt"; n=$((n + 1)); [ -e "$f" ] || continue; ${step}; done`];
}

export interface Attack {
  readonly name: string;
  readonly command: (from: number) => string[];
}

const encrypted = 'b = os.urandom(len(open(f, "rb").read()))';

export const attacks: readonly Attack[] = [
  { name: 'encrypting in place', command: (from) => program(from, `${encrypted}\nwith open(f, "r+b") as h: h.write(b)`) },
  { name: 'writing anew', command: (from) => program(from, `${encrypted}\nopen(f, "wb").write(b)`) },
  { name: 'an encrypted copy, then deleting', command: (from) => program(from, `${encrypted}\nopen(f + ".enc", "wb").write(b)\nos.unlink(f)`) },
  { name: 'an encrypted copy, then renaming it over the file', command: (from) => program(from, `${encrypted}\nopen(f + ".tmp", "wb").write(b)\nos.rename(f + ".tmp", f)`) },
  { name: 'renaming, then encrypting', command: (from) => program(from, `${encrypted}\nos.rename(f, f + ".locked")\nopen(f + ".locked", "r+b").write(b)`) },
  { name: 'renaming alone', command: (from) => program(from, 'os.rename(f, f + ".locked")') },
  { name: 'deleting', command: (from) => program(from, 'os.unlink(f)') },
  { name: 'emptying', command: (from) => program(from, 'os.truncate(f, 0)') },
  { name: 'overwriting with zeros through a mapping', command: (from) => program(from, 'import mmap\nh = open(f, "r+b")\nm = mmap.mmap(h.fileno(), 0)\nm[:] = bytes(len(m))\nm.close()\nh.close()') },
  { name: 'a shell that encrypts in place', command: (from) => shell(from, 'head -c 2000 /dev/urandom | dd of="$f" conv=notrunc status=none') },
  { name: 'a shell that writes anew', command: (from) => shell(from, 'head -c 2000 /dev/urandom > "$f"') },
  { name: 'a shell that copies and deletes', command: (from) => shell(from, 'head -c 2000 /dev/urandom > "$f.enc"; rm "$f"') },
];

/** Starts an attack in a session of its own. */
export function begin(mount: Mount, command: readonly string[]): ChildProcess {
  const [name = '', ...rest] = command;
  return spawn(name, rest, { cwd: mount.mountpoint, detached: true, stdio: 'ignore' });
}

/** Ends all processes of an attack. */
export async function end(attack: ChildProcess): Promise<void> {
  const { pid } = attack;
  if (pid === undefined || attack.exitCode !== null || attack.signalCode !== null) return;
  const ended = once(attack, 'exit');
  process.kill(-pid, 'SIGKILL');
  await ended;
}

/** The mass changes that the daemon's log tells of, in order. */
export function told(mount: Mount): Message[] {
  const lines = mount.daemonLog().split('\n').filter((line) => line.includes('"alarm":"mass-change"'));
  return lines.map((line) => (JSON.parse(line) as { alarm: Message }).alarm).filter(({ event }) => event !== 'ended');
}

export async function nextTold(mount: Mount, before: number): Promise<Message> {
  await until(() => told(mount).length > before, 'the alarm', 20_000);
  return told(mount)[before] as Message;
}

/** The pin that a message names. */
export function pinOf(message: Message): string {
  const pin = /@(before-mass-change-\S+) is the moment before/.exec(message.text)?.[1];
  if (pin === undefined) throw new Error(`no pin in: ${message.text}`);
  return pin;
}

/** Files of a directory of the past, or of now, that are not as they were made, from a number on. */
export function changedIn(directory: string, from = 0): number {
  let changed = 0;
  for (let number = from; number < filesInAll; number += 1) changed += isAsMade(join(directory, nameOf(number)), number) ? 0 : 1;
  return changed;
}

function isAsMade(path: string, number: number): boolean {
  try {
    return readFileSync(path, 'utf8') === textOf(number);
  } catch {
    return false;
  }
}
