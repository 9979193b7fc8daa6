/**
 * Applications at work in a mount (applications.c), each in a directory of its own, all at the same time. Roles come in; what each has to say at the end comes out: how many
 * steps, how long the longest took, or what went wrong.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from '../support/compile.js';
import type { Mount } from '../support/mount.js';
import { runWell, start } from '../support/processes.js';
import type { Random } from '../support/seed.js';

export const everyRole = ['writer', 'committer', 'appender', 'mapper', 'nameless', 'names', 'lister', 'past', 'locker'] as const;
export type Role = (typeof everyRole)[number];

/** As LISTED in applications.c. */
const listed = 1500;

/** The moment at which `past` looks. */
const pinName = 'before';

export interface Told {
  readonly role: Role;
  /** What went wrong, or "". */
  readonly complaint: string;
  readonly steps: number;
  readonly longestMs: number;
}

interface Running {
  readonly role: Role;
  readonly child: ChildProcess;
  readonly said: Promise<string>;
}

export class Applications {
  readonly #running: Running[];

  private constructor(running: Running[]) {
    this.#running = running;
  }

  static async start(mount: Mount, roles: readonly Role[], random: Random): Promise<Applications> {
    const program = join(mount.place, 'applications');
    await compile(['test/keeper/applications.c'], program);
    if (roles.includes('past')) await preparePast(mount, random);
    const running = roles.map((role, index): Running => {
      let directory = mount.path('.snapshots', `@${pinName}`, 'then');
      if (role !== 'past') mkdirSync((directory = mount.path(`${role}-${index}`)));
      if (role === 'lister') prepareListed(directory);
      const child = start(program, [role, directory, String(random.below(2 ** 32))]);
      return { role, child, said: textOf(child) };
    });
    return new Applications(running);
  }

  /** Roles that have ended though nobody asked them to. */
  ended(): Role[] {
    return this.#running.filter(({ child }) => child.exitCode !== null).map(({ role }) => role);
  }

  /** Asks all to end, and waits until they have. */
  async finish(): Promise<Told[]> {
    for (const { child } of this.#running) child.stdin?.end();
    return Promise.all(this.#running.map(async ({ role, said, child }) => {
      const text = await said;
      const [steps = 0, longestMs = 0] = text.split(' ').map(Number);
      return child.exitCode === 0 ? { role, complaint: '', steps, longestMs } : { role, complaint: text, steps: 0, longestMs: 0 };
    }));
  }
}

async function textOf(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stdin?.on('error', () => undefined); // It may end by itself.
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
  return text.trim() === '' ? `ended with ${signal ?? status}` : text.trim();
}

/** More files than one listing request brings. */
function prepareListed(directory: string): void {
  for (let i = 0; i < listed; i += 1) writeFileSync(join(directory, `a file with a long name, number ${i}`), '');
}

/** A file with a past that differs from what it is, and a directory below. */
async function preparePast(mount: Mount, random: Random): Promise<void> {
  const then = mount.path('then');
  mkdirSync(join(then, 'deep', 'er'), { recursive: true });
  const bytes = Buffer.alloc(300_000);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(random.below(2 ** 32), at);
  writeFileSync(join(then, 'past'), bytes);
  writeFileSync(join(then, 'deep', 'er', 'inner'), 'inner');
  await mount.cliWell('pin', mount.directory, pinName);
  writeFileSync(join(then, 'past'), Buffer.from('now'), { flag: 'r+' });
}

/** A digest of all names and bytes of a moment. */
export async function digestOf(mount: Mount, moment: string): Promise<string> {
  const script = 'cd "$1" && find . -print0 | LC_ALL=C sort -z | xargs -0 ls -ld --time-style=full-iso && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum';
  return runWell('sh', ['-c', script, 'sh', mount.path('.snapshots', `@${moment}`)]);
}

/** How long it takes to begin a Node process that does nothing: what a restart takes some fifteen times. */
export async function startMs(): Promise<number> {
  const beginMs = performance.now();
  await runWell(process.execPath, ['-e', '0']);
  return performance.now() - beginMs;
}

/** Of what the kernel knows of the process: its own memory, in KiB. */
export function privateKib(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return [...text.matchAll(/^Private_\w+:\s+(\d+) kB/gm)].reduce((sum, [, kib]) => sum + Number(kib), 0);
}
