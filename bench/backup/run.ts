/**
 * `npm run bench -- --backup`: what backups take, beside cp, rsync, restic and lftp, in turn, in one run. In: a scratch directory on a disk. Out: seconds of each, of each round.
 *
 * All read the same mounted volume; destinations are on the same disk, the FTP server (Debian's pure-ftpd) on the loopback, in clear text as lftp's.
 *
 * Invariants:
 * 1. Nothing stays mounted, and no daemon and no server runs, afterwards.
 * 2. Each program begins with everything that the one before it wrote on the disk.
 */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { FtpServer, unlessFtpServers } from '../../test/support/ftp-server.js';
import { execute } from '../command.js';
import { clear, mount, tidemark, unmount } from '../scale/commands.js';

export interface BackupBenchOptions {
  readonly files: number;
  readonly rounds: number;
  /** A directory on a disk, empty. */
  readonly scratch: string;
  readonly progress: (line: string) => void;
}

/** Seconds, one for each round; none for a program that is not installed. */
export type Seconds = Record<'cp' | 'first' | 'rsync' | 'restic' | 'two' | 'change' | 'changeRsync' | 'changeRestic' | 'ftp' | 'lftp', number[]>;

export interface BackupBenchResults {
  readonly files: number;
  readonly changes: number;
  readonly connections: number;
  readonly seconds: Seconds;
}

const fileBytes = 4096;
const filesPerDirectory = 100;
const changes = 100;
const connections = 4;

export async function runBackupBench({ files, rounds, scratch, progress }: BackupBenchOptions): Promise<BackupBenchResults> {
  const place = `${scratch}/backup`;
  const data = `${place}/data`;
  mkdirSync(data, { recursive: true });
  progress(`makes ${files} files`);
  for (let index = 0; index < files; index++) {
    const directory = `${data}/${Math.floor(index / filesPerDirectory)}`;
    if (index % filesPerDirectory === 0) mkdirSync(directory);
    writeFileSync(`${directory}/${index}`, Buffer.alloc(fileBytes, index));
  }
  const round = new Round(place, data, files);
  let pid: number | undefined;
  try {
    pid = (await mount(data)).pid;
    for (let count = 1; count <= rounds; count++) {
      progress(`round ${count} of ${rounds}`);
      await round.measure(count);
    }
    await unmount(data, pid);
    pid = undefined;
    return { files, changes, connections, seconds: round.seconds };
  } finally {
    await clear(data, pid);
  }
}

class Round {
  readonly seconds: Seconds = { cp: [], first: [], rsync: [], restic: [], two: [], change: [], changeRsync: [], changeRestic: [], ftp: [], lftp: [] };
  readonly #place: string;
  readonly #data: string;
  readonly #files: number;

  constructor(place: string, data: string, files: number) {
    this.#place = place;
    this.#data = data;
    this.#files = files;
  }

  async measure(count: number): Promise<void> {
    const at = (name: string): string => `${this.#place}/${name}`;
    const hasRestic = await isInstalled('restic');
    await this.#time('cp', () => execute('cp', ['-r', this.#data, at('cp')]));
    await this.#add('one', at('one'));
    await this.#time('first', () => tidemark('backup', 'run', 'one', '--volume', this.#data));
    if (await isInstalled('rsync')) await this.#time('rsync', () => execute('rsync', ['-a', `${this.#data}/`, at('rsync')]));
    const restic = (...words: string[]): Promise<string> => execute('restic', ['--quiet', '--repo', at('restic'), '--password-file', at('password'), ...words]);
    if (hasRestic) {
      writeFileSync(at('password'), 'a-word\n');
      await restic('init');
      await this.#time('restic', () => restic('backup', this.#data));
    }
    await this.#add('two', at('two'));
    await this.#add('three', at('three'));
    await this.#time('two', () => Promise.all(['two', 'three'].map((name) => tidemark('backup', 'run', name, '--volume', this.#data))));
    for (let index = 0; index < changes; index++) {
      const file = Math.floor((index * this.#files) / changes);
      appendFileSync(`${this.#data}/${Math.floor(file / filesPerDirectory)}/${file}`, `round ${count}\n`);
    }
    await this.#time('change', () => tidemark('backup', 'run', 'one', '--volume', this.#data));
    if (await isInstalled('rsync')) await this.#time('changeRsync', () => execute('rsync', ['-a', '--delete', `${this.#data}/`, at('rsync')]));
    if (hasRestic) await this.#time('changeRestic', () => restic('backup', this.#data));
    await this.#ftp();
    for (const name of ['one', 'two', 'three']) await tidemark('backup', 'remove', name, '--volume', this.#data);
    for (const name of ['cp', 'one', 'rsync', 'restic', 'two', 'three', 'server']) rmSync(at(name), { recursive: true, force: true });
  }

  async #ftp(): Promise<void> {
    if ((await unlessFtpServers()) !== false) return;
    const server = await FtpServer.start('pure-ftpd', `${this.#place}/server`, { security: 'none' });
    try {
      await tidemark('backup', 'add', this.#data, ...server.arguments, '--name', 'ftp', '--connections', String(connections));
      await this.#time('ftp', () => tidemark('backup', 'run', 'ftp', '--volume', this.#data));
      await tidemark('backup', 'remove', 'ftp', '--volume', this.#data);
      if (!(await isInstalled('lftp'))) return;
      const script = `set ftp:ssl-allow no; open -u keeper,a-word ftp://127.0.0.1:${server.port}; mirror -R --parallel=${connections} ${this.#data} backup/lftp; quit`;
      await this.#time('lftp', () => execute('lftp', ['-c', script], { timeoutMs: 3_600_000 }));
    } finally {
      await server.stop();
    }
  }

  async #add(name: string, directory: string): Promise<void> {
    mkdirSync(directory);
    await tidemark('backup', 'add', this.#data, directory, '--name', name);
  }

  async #time(what: keyof Seconds, work: () => Promise<unknown>): Promise<void> {
    await execute('sync', []);
    const startedAt = performance.now();
    await work();
    this.seconds[what].push((performance.now() - startedAt) / 1000);
  }
}

async function isInstalled(program: string): Promise<boolean> {
  return execute('sh', ['-c', `command -v ${program}`]).then(() => true, () => false);
}
