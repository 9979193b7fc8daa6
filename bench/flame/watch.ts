/**
 * Samples all processors while a row's measured part runs, and draws what it saw: the daemon and the application beside each other.
 * Rows come in one by one, as the runner reaches them; DIRECTORY/ROW.svg goes out for each.
 *
 * Invariants:
 * 1. perf runs before the measured part begins and ends after it; reading what it saw is no part of the row's time.
 * 2. What perf wrote is gone when the graph is drawn.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { ended, execute, pause, startService } from '../command.js';
import { rows } from '../rows.js';
import type { Watch } from '../runner.js';
import type { RunningTarget } from '../targets/target.js';
import { draw } from './draw.js';
import { fold } from './fold.js';
import type { Cast, Folded } from './fold.js';

/** A second. No round number, lest it keep step with timers. */
const frequency = 4_999;
const recordWords = ['record', '-q', '-a', '-g', '-F', String(frequency), '-m', '8M'];

/** Why no graph can be made here, or undefined. @param scratch a directory for a trial */
export async function noPerf(scratch: string): Promise<string | undefined> {
  const data = `${scratch}/trial.perf`;
  try {
    await execute('perf', [...recordWords, '-o', data, '--', 'true']);
    return undefined;
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ');
    if (message.includes('ENOENT')) return 'perf is not installed (apt install linux-perf)';
    return `perf may not sample all processors here (root may, where the kernel permits it): ${message.slice(0, 200)}`;
  } finally {
    await rm(data, { force: true });
  }
}

export interface Watcher {
  readonly watch: Watch;
  /** The rows whose graphs are written. */
  readonly drawn: ReadonlySet<string>;
}

/** @param directory where the graphs go, absolute; made if it is not there @param scratch where perf writes */
export function makeWatcher(directory: string, scratch: string): Watcher {
  const drawn = new Set<string>();
  const watch: Watch = async (row, target, work) => {
    const data = `${scratch}/${row}.perf`;
    const { result, perfPid } = await record(data, work);
    const folded = await read(data, { daemonPid: pidOf(target), benchPid: process.pid, perfPid });
    await mkdir(directory, { recursive: true });
    await writeFile(`${directory}/${row}.svg`, drawRow(row, folded));
    drawn.add(row);
    return result;
  };
  return { watch, drawn };
}

async function record<T>(data: string, work: () => Promise<T>): Promise<{ result: T; perfPid: number }> {
  const { child, errors } = startService('perf', [...recordWords, '-o', data]);
  try {
    for (let waitedMs = 0; !(await isWritten(data)); waitedMs += 20) {
      if (child.exitCode !== null || waitedMs > 10_000) throw new Error(`perf did not start: ${errors()}`);
      await pause(20);
    }
    // It writes which processes there are, and then begins to sample.
    await pause(100);
    return { result: await work(), perfPid: child.pid! };
  } finally {
    child.kill('SIGINT');
    await ended(child, 60_000);
  }
}

function isWritten(path: string): Promise<boolean> {
  return stat(path).then(({ size }) => size > 0, () => false);
}

function pidOf({ pid }: RunningTarget): number {
  if (pid === undefined) throw new Error('the target has no process to watch');
  return pid;
}

/** Through a file: the text of a long row is more than a string can hold. Names of inlined functions would take perf an hour. */
async function read(data: string, cast: Cast): Promise<Folded> {
  const text = `${data}.txt`;
  const script = 'perf script -i "$1" --no-inline --show-task-events -F comm,pid,tid,ip,sym,dso > "$2"';
  try {
    await execute('sh', ['-c', script, 'script', data, text]);
    return fold(linesOf(text), cast);
  } finally {
    await Promise.all([data, text].map((path) => rm(path, { force: true })));
  }
}

function* linesOf(path: string): Generator<string> {
  const descriptor = openSync(path, 'r');
  try {
    const chunk = Buffer.alloc(1 << 20);
    let rest = '';
    // latin1 never tears a letter apart; symbols are ASCII.
    for (let length = readSync(descriptor, chunk); length > 0; length = readSync(descriptor, chunk)) {
      const lines = (rest + chunk.toString('latin1', 0, length)).split('\n');
      rest = lines.pop()!;
      yield* lines;
    }
    yield rest;
  } finally {
    closeSync(descriptor);
  }
}

function drawRow(row: string, { stacks, idleCount, otherCount }: Folded): string {
  const shown = [...stacks.values()].reduce((sum, count) => sum + count, 0);
  const all = shown + idleCount + otherCount;
  const percent = (count: number): string => `${all === 0 ? 0 : Math.round((100 * count) / all)} %`;
  const title = rows.find(({ id }) => id === row)!.title.replaceAll('`', '');
  return draw(stacks, {
    title: `${row}: ${title}`,
    subtitle: `${shown.toLocaleString('en')} samples of running threads, ${frequency.toLocaleString('en')} a second on each processor; left out: idle ${percent(idleCount)}, other processes ${percent(otherCount)}`,
    leastShare: 0.0015,
    mostBytes: 150_000,
  });
}
