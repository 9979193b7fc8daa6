/**
 * A real mount for a test: a fresh directory on the disk, protected by a daemon started through the command line, in a runtime
 * directory of its own. The test gets the mount and handles to it; whatever happens, everything is gone afterwards.
 *
 * Invariants:
 * 1. The process of the test never serves the mount: the daemon is a process of its own.
 * 2. When the body ends, well or not, the daemon is dead, nothing is mounted and the directories are removed.
 * 3. When this process is killed, a guard process does the same.
 */
import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RegistryEntry } from '../../tools/registry.js';
import { testedDriver } from './driver.js';
import { makePlace, mountsBelow, removePlace, repositoryRoot } from './places.js';
import { killNow, run, until } from './processes.js';
import type { Outcome } from './processes.js';

export interface MountOptions {
  /** Options of `tidemark mount`, as "--every-write". */
  readonly arguments?: readonly string[];
  /** For the daemon and every command. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Mount beside the backing directory, which then stays in sight, instead of over it. */
  readonly apart?: boolean;
  /** The user who mounts and runs the commands; needs root when it is another one. */
  readonly uid?: number;
  /** A crash that TIDEMARK_FAILPOINT orders is to be survived: the keeper starts another daemon. */
  readonly survives?: boolean;
  /** What runs the commands, as `nsenter --net=…`. */
  readonly prefix?: readonly string[];
  /** Puts files into the directory before it is mounted for the first time. */
  readonly prepare?: (directory: string) => void | Promise<void>;
}

/** What a test tells the outcome of a command to. */
export interface Commented {
  comment(...words: unknown[]): void;
}

/** Mounts, runs the body, and cleans up. `t` hears what the daemon said when the body throws. */
export async function withMount<T = void>(t: Commented, options: MountOptions, body: (mount: Mount) => Promise<T>): Promise<T> {
  const mount = new Mount(makePlace(), options);
  try {
    await options.prepare?.(mount.directory);
    await mount.mount();
    return await body(mount);
  } catch (error) {
    t.comment(mount.daemonLog().slice(-8000));
    throw error;
  } finally {
    await mount.clear();
  }
}

/** As `withMount`, but nothing is mounted yet. */
export async function withDirectory<T = void>(t: Commented, options: MountOptions, body: (mount: Mount) => Promise<T>): Promise<T> {
  const mount = new Mount(makePlace(), options);
  try {
    await options.prepare?.(mount.directory);
    return await body(mount);
  } catch (error) {
    t.comment(mount.daemonLog().slice(-8000));
    throw error;
  } finally {
    await mount.clear();
  }
}

export class Mount {
  /** Holds everything of this test; the test may put its own things beside the mount. */
  readonly place: string;
  /** The protected directory. */
  readonly directory: string;
  /** Where it is mounted: the directory itself unless apart. */
  readonly mountpoint: string;
  /** The daemon's sockets, registry and log. */
  readonly runtime: string;
  readonly #options: MountOptions;
  readonly #guard: Guard;
  #pid: number | undefined;

  constructor(place: string, options: MountOptions) {
    this.place = place;
    this.#options = options;
    this.directory = join(place, 'protected');
    this.mountpoint = options.apart === true ? join(place, 'mounted') : this.directory;
    this.runtime = join(place, 'run');
    for (const path of new Set([this.directory, this.mountpoint, this.runtime])) {
      mkdirSync(path, { mode: 0o755 });
      if (options.uid !== undefined) chownSync(path, options.uid, options.uid);
    }
    this.#guard = new Guard(place);
  }

  /** The daemon's pid. Throws when it was never mounted. */
  get pid(): number {
    if (this.#pid === undefined) throw new Error(`${this.directory} is not mounted`);
    return this.#pid;
  }

  /** Runs `tidemark …` to its end. */
  async cli(...commandArguments: string[]): Promise<Outcome> {
    return this.#command(commandArguments, {});
  }

  /** Runs a command that must succeed; gives what it printed. */
  async cliWell(...commandArguments: string[]): Promise<string> {
    const outcome = await this.cli(...commandArguments);
    if (outcome.status !== 0) throw new Error(`tidemark ${commandArguments.join(' ')}: status ${outcome.status}\n${outcome.stdout}${outcome.stderr}`);
    return outcome.stdout;
  }

  /** Runs a command that must succeed with --json; gives what it printed as a list, also where it was one object. */
  async json(...commandArguments: string[]): Promise<Record<string, unknown>[]> {
    const value = JSON.parse(await this.cliWell(...commandArguments, '--json')) as Record<string, unknown> | Record<string, unknown>[];
    return Array.isArray(value) ? value : [value];
  }

  /** `tidemark mount`, which returns when the daemon is ready. `environment` is the daemon's, for this time. */
  async mount(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const outcome = await this.tryMount(environment);
    if (outcome.status !== 0) throw new Error(`mount: status ${outcome.status}\n${outcome.stdout}${outcome.stderr}`);
  }

  /** `tidemark mount`, whatever comes of it. */
  async tryMount(environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    const apart = this.mountpoint === this.directory ? [] : [this.mountpoint];
    // Who orders a crash wants to see what it leaves, unless he wants to see it survived.
    const dies = environment['TIDEMARK_FAILPOINT'] !== undefined && this.#options.survives !== true ? ['--no-keeper'] : [];
    const outcome = await this.#command(['mount', this.directory, ...apart, `--driver=${testedDriver}`, ...dies, ...(this.#options.arguments ?? [])], environment);
    if (outcome.status === 0) this.adopt();
    return outcome;
  }

  /** A command of the test has mounted it. */
  adopt(): void {
    this.#pid = this.#registeredPid();
    this.#guard.watch([...this.#keeperPids(), this.#pid]);
  }

  /** `tidemark unmount`, which must succeed; waits until the daemon is gone. */
  async unmount(): Promise<void> {
    const { pid } = this;
    await this.cliWell('unmount', this.mountpoint);
    await until(() => !existsSync(`/proc/${pid}/exe`), 'the daemon to end');
    this.#pid = undefined;
  }

  /** Kills the daemon, and its keeper before. The mount stays as a dead one. */
  async kill9(): Promise<void> {
    for (const pid of this.#keeperPids()) await killNow(pid);
    await killNow(this.pid);
  }

  /** Kills the daemon alone; the keeper starts another one. Gives the pid of the one that is killed. */
  killDaemon(): number {
    const [pid] = this.#daemonPids();
    if (pid === undefined) return 0;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The last kill was just before.
    }
    return pid;
  }

  /** The pid of the keeper. */
  get keeperPid(): number {
    const [pid] = this.#keeperPids();
    if (pid === undefined) throw new Error(`no keeper is registered in ${this.runtime}`);
    return pid;
  }

  async remount(): Promise<void> {
    await this.unmount();
    await this.mount();
  }

  /** Waits until the daemon has ended by itself. */
  async died(limitMs = 30_000): Promise<void> {
    const { pid } = this;
    await until(() => !existsSync(`/proc/${pid}/exe`), 'the daemon to die', limitMs);
  }

  /** The path of a name in the mount. */
  path(...names: string[]): string {
    return join(this.mountpoint, ...names);
  }

  /** What the daemons of this directory wrote into their log. */
  daemonLog(): string {
    const logs = readdirSync(this.runtime).filter((name) => name.endsWith('.log'));
    return logs.map((name) => readFileSync(join(this.runtime, name), 'utf8')).join('');
  }

  /** Kills the daemon, unmounts, removes. */
  async clear(): Promise<void> {
    for (const pid of [...this.#keeperPids(), ...this.#daemonPids()]) await killNow(pid);
    removePlace(this.place);
    this.#guard.dismiss();
  }

  async #command(commandArguments: readonly string[], environment: Readonly<Record<string, string>>): Promise<Outcome> {
    const { uid } = this.#options;
    const [program, ...first] = [...this.#options.prefix ?? [], process.execPath];
    return run(program!, [...first, join(repositoryRoot, 'dist/tools/main.js'), ...commandArguments], {
      cwd: this.place,
      environment: { TIDEMARK_RUNTIME_DIR: this.runtime, ...this.#options.environment, ...environment },
      ...(uid === undefined ? {} : { uid }),
    });
  }

  #registeredPid(): number {
    const alive = this.#daemonPids();
    const pid = alive[0];
    if (pid === undefined || alive.length > 1) throw new Error(`expected one daemon registered in ${this.runtime}, found ${alive.length}`);
    return pid;
  }

  /** Daemons registered in our own runtime directory that live. */
  #daemonPids(): number[] {
    return this.#entries().map(({ pid }) => pid).filter((pid) => existsSync(`/proc/${pid}/exe`));
  }

  #keeperPids(): number[] {
    return this.#entries().flatMap(({ keeper }) => keeper?.pid ?? []).filter((pid) => existsSync(`/proc/${pid}/exe`));
  }

  /** The registry's entry. Throws when there is none. */
  registered(): RegistryEntry {
    const [entry] = this.#entries();
    if (entry === undefined) throw new Error(`nothing is registered in ${this.runtime}`);
    return entry;
  }

  #entries(): RegistryEntry[] {
    if (!existsSync(this.runtime)) return [];
    const names = readdirSync(this.runtime).filter((name) => name.endsWith('.json'));
    return names.map((name) => JSON.parse(readFileSync(join(this.runtime, name), 'utf8')) as RegistryEntry);
  }
}

/** A shell that cleans up when this process dies without having done so: it notices by the end of its input. */
class Guard {
  readonly #shell;

  constructor(place: string) {
    const script = [
      'pids=; while read -r words; do [ "$words" = done ] && exit; pids=$words; done',
      '[ -n "$pids" ] && kill -9 $pids',
      // The latest mount first; then loop devices on files of the place that nothing was mounted from.
      'tac /proc/self/mountinfo | while read -r _ _ _ _ path _; do case $path in "$1"/*) umount -l "$path";; esac; done',
      'losetup --list --noheadings --output NAME,BACK-FILE | while read -r device file; do case $file in "$1"/*) losetup -d "$device";; esac; done',
      'rm -rf --one-file-system "$1"',
    ].join('\n');
    this.#shell = spawn('sh', ['-c', script, 'sh', place], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.#shell.unref();
    this.#shell.stdin.on('error', () => undefined);
  }

  /** The keeper first: it would start another daemon. */
  watch(pids: readonly number[]): void {
    this.#shell.stdin.write(`${pids.join(' ')}\n`);
  }

  dismiss(): void {
    this.#shell.stdin.end('done\n');
  }
}

/** true when something is mounted on the directory. */
export function isMountpoint(directory: string): boolean {
  return mountsBelow(directory).includes(directory);
}
