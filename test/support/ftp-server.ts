/**
 * FTP servers of a test: Debian's pure-ftpd, vsftpd and proftpd, on loopback ports with configurations of their own, each really different. In: which, and what it is to be like. Out: a place to send to, the directory it stores in.
 *
 * Invariants:
 * 1. Nothing outside the given directory is written, and no users of the system are needed but nobody and daemon.
 * 2. When `stop` has returned, no process of the server is left.
 */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FtpPlace } from '../../replica/place.js';
import { makeCertificates } from './certificates.js';
import { isRoot, repositoryRoot } from './places.js';
import { answers, freePort } from './ports.js';
import { isAlive, run, runWell, start, until } from './processes.js';

export type ServerKind = 'pure-ftpd' | 'vsftpd' | 'proftpd';

export interface ServerOptions {
  /** Default: explicit. */
  readonly security?: FtpPlace['security'];
  /** Drops control connections that have been idle for so many seconds. */
  readonly idleSeconds?: number;
  readonly mostConnections?: number;
  /** The server stores here instead of in a directory of its own. */
  readonly storage?: string;
  /** More lines of its configuration, or arguments. */
  readonly more?: readonly string[];
}

const cache = join(repositoryRoot, 'node_modules/.cache/tidemark-ftp');
const unpacked = join(cache, 'root');
const password = 'a-word';
const nobody = 65_534;
/** It goes to the home of its user first, and that of nobody is not there. */
const daemon = 1;
const libraries = { LD_LIBRARY_PATH: `${unpacked}/usr/lib/x86_64-linux-gnu:${unpacked}/lib/x86_64-linux-gnu` };

/** For tap's `skip`: false when the servers can be had. */
export async function unlessFtpServers(): Promise<string | false> {
  if (!isRoot) return 'only root can start these FTP servers';
  const fetched = existsSync(join(cache, 'complete')) || (await run('sh', [join(repositoryRoot, 'test/support/ftp-packages.sh'), cache])).status === 0;
  if (fetched) return false;
  if ((process.env['TIDEMARK_REQUIRE_ALL'] ?? '') !== '') throw new Error('the FTP servers cannot be fetched');
  return 'the FTP servers cannot be fetched';
}

export class FtpServer {
  readonly kind: ServerKind;
  readonly port: number;
  /** What clients see as the directory of the place. */
  readonly storage: string;
  /** The authority that its certificate is from. */
  readonly ca: string;
  readonly passwordFile: string;
  readonly #directory: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;

  private constructor(kind: ServerKind, directory: string, port: number, options: ServerOptions) {
    this.kind = kind;
    this.port = port;
    this.#directory = directory;
    this.#options = options;
    this.storage = join(options.storage ?? join(directory, 'storage'), 'backup');
    this.ca = join(directory, 'ca.pem');
    this.passwordFile = join(directory, 'password');
  }

  /** Starts one with its files in a fresh directory. */
  static async start(kind: ServerKind, directory: string, options: ServerOptions = {}): Promise<FtpServer> {
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o755);
    const server = new FtpServer(kind, directory, await freePort(), options);
    writeFileSync(server.passwordFile, `${password}\n`, { mode: 0o600 });
    mkdirSync(server.storage, { recursive: true });
    const owner = kind === 'vsftpd' ? daemon : nobody;
    chownSync(server.storage, owner, owner);
    await makeCertificates(directory);
    await server.begin();
    return server;
  }

  /** Where `place` text and options lead: for the command line. */
  get arguments(): string[] {
    const { security = 'explicit' } = this.#options;
    const user = this.kind === 'vsftpd' ? 'anonymous' : 'keeper';
    const tls = security === 'none' ? ['--clear-text'] : ['--tls', security, '--ca', this.ca];
    return [`ftp://${user}@127.0.0.1:${this.port}/backup`, ...tls, '--password-file', this.passwordFile];
  }

  place(change: Partial<FtpPlace> = {}): FtpPlace {
    const { security = 'explicit' } = this.#options;
    return {
      kind: 'ftp', host: '127.0.0.1', port: this.port, user: this.kind === 'vsftpd' ? 'anonymous' : 'keeper', path: 'backup', security, ...(security === 'none' ? {} : { ca: this.ca }),
      password: { file: this.passwordFile }, connections: 2, ...change,
    };
  }

  /** Begins, or after `stop` begins again. */
  async begin(): Promise<void> {
    const [program, programArguments] = await this.#command();
    // Its input is no socket (as pipes of Node are): it would take that for its client.
    const child = start('/bin/sh', ['-c', 'exec "$@" </dev/null', 'sh', program, ...programArguments], { environment: libraries });
    this.#child = child;
    const said: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk));
    await until(async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${this.kind} ended: ${Buffer.concat(said).toString()}`);
      return answers(this.port);
    }, `${this.kind} to listen`);
  }

  async stop(): Promise<void> {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    const family = [pid, ...await childrenOf(pid)];
    for (const each of family) killIfAlive(each);
    await until(() => family.every((each) => !isAlive(each)), `${this.kind} to end`);
    this.#child = undefined;
  }

  /** Ends the connections that are open, as a network that fails does; the server goes on. */
  async cut(): Promise<number> {
    const connections = this.#child?.pid === undefined ? [] : await childrenOf(this.#child.pid);
    for (const each of connections) killIfAlive(each);
    return connections.length;
  }

  async #command(): Promise<[string, string[]]> {
    if (this.kind === 'pure-ftpd') return this.#pureFtpd();
    return this.kind === 'vsftpd' ? this.#vsftpd() : this.#proftpd();
  }

  /** MLSD, MFMT, virtual users. */
  async #pureFtpd(): Promise<[string, string[]]> {
    const { security = 'explicit', idleSeconds, mostConnections = 50, more = [] } = this.#options;
    const database = join(this.#directory, 'users.pdb');
    const users = join(this.#directory, 'users');
    const home = join(this.storage, '..');
    if (!existsSync(database)) {
      // Not by `pure-pw useradd`: its hash takes a second of processor time at each login.
      writeFileSync(users, `keeper:${await passwordHash()}:${nobody}:${nobody}::${home}/./::::::::::::\n`);
      await runWell(join(unpacked, 'usr/bin/pure-pw'), ['mkdb', database, '-f', users], { environment: libraries });
    }
    const tls = { none: '0', explicit: '2', implicit: '3' }[security];
    return [join(unpacked, 'usr/sbin/pure-ftpd'), [
      '-S', `127.0.0.1,${this.port}`, '-l', `puredb:${database}`, '-g', join(this.#directory, 'pure.pid'), '-E', '-H', '-u', '1', '-c', String(mostConnections), '-C', String(mostConnections), '-p', '30000:50000',
      '-Y', tls, '-2', join(this.#directory, 'server.pem'), ...(idleSeconds === undefined ? [] : ['-I', String(Math.ceil(idleSeconds / 60))]), ...more,
    ]];
  }

  /** No MLSD, no MFMT; times by MDTM. Anonymous, since its other users need PAM. */
  async #vsftpd(): Promise<[string, string[]]> {
    const { security = 'explicit', idleSeconds = 300, mostConnections = 50, more = [] } = this.#options;
    const config = join(this.#directory, 'vsftpd.conf');
    const empty = join(this.#directory, 'empty');
    mkdirSync(empty, { recursive: true });
    const tls = security === 'none' ? ['ssl_enable=NO'] : [
      'ssl_enable=YES', 'allow_anon_ssl=YES', 'force_anon_logins_ssl=YES', 'force_anon_data_ssl=YES', `implicit_ssl=${security === 'implicit' ? 'YES' : 'NO'}`, 'ssl_tlsv1=YES', 'ssl_ciphers=HIGH',
      `rsa_cert_file=${join(this.#directory, 'server.pem')}`, `rsa_private_key_file=${join(this.#directory, 'server.pem')}`,
    ];
    writeFileSync(config, [
      'listen=YES', 'listen_address=127.0.0.1', `listen_port=${this.port}`, 'background=NO', 'anonymous_enable=YES', 'local_enable=NO', 'write_enable=YES', 'anon_upload_enable=YES', 'anon_mkdir_write_enable=YES',
      'anon_other_write_enable=YES', 'anon_world_readable_only=NO', 'anon_umask=022', 'no_anon_password=NO', 'ftp_username=daemon', `anon_root=${join(this.storage, '..')}`, `secure_chroot_dir=${empty}`, 'hide_ids=YES', 'mdtm_write=YES', 'xferlog_enable=NO',
      'seccomp_sandbox=NO', `idle_session_timeout=${idleSeconds}`, `max_clients=${mostConnections}`, `max_per_ip=${mostConnections}`, ...tls, ...more, '',
    ].join('\n'));
    return [join(unpacked, 'usr/sbin/vsftpd'), [config]];
  }

  /** Has a file of users; its TLS ends data connections roughly. */
  async #proftpd(): Promise<[string, string[]]> {
    const { security = 'explicit', idleSeconds = 300, mostConnections = 50, more = [] } = this.#options;
    const config = join(this.#directory, 'proftpd.conf');
    const users = join(this.#directory, 'proftpd.users');
    const home = join(this.storage, '..');
    writeFileSync(users, `keeper:${await passwordHash()}:${nobody}:${nobody}::${home}:/bin/sh\n`, { mode: 0o600 });
    const pem = join(this.#directory, 'server.pem');
    const tls = security === 'none' ? [] : ['TLSEngine on', 'TLSRequired on', `TLSRSACertificateFile ${pem}`, `TLSRSACertificateKeyFile ${pem}`, `TLSOptions NoSessionReuseRequired${security === 'implicit' ? ' UseImplicitSSL' : ''}`, `TLSLog ${this.#directory}/tls.log`];
    writeFileSync(config, [
      `ModulePath ${unpacked}/usr/lib/proftpd`, 'LoadModule mod_tls.c', 'ServerName "test"', 'ServerType standalone', 'DefaultAddress 127.0.0.1', 'SocketBindTight on', `Port ${this.port}`, 'UseIPv6 off', 'UseReverseDNS off', 'User nobody', 'Group nogroup',
      'AuthPAM off', 'AuthOrder mod_auth_file.c', `AuthUserFile ${users}`, 'RequireValidShell off', `DefaultRoot ${home}`, 'AllowOverwrite on', 'AllowStoreRestart on', 'DelayEngine off', 'WtmpLog off', `PidFile ${this.#directory}/proftpd.pid`,
      `ScoreboardFile ${this.#directory}/scoreboard`, `SystemLog ${this.#directory}/proftpd.log`, 'TransferLog none', `TimeoutIdle ${idleSeconds}`, `MaxClients ${mostConnections}`, 'MaxInstances 60', ...tls, ...more, '',
    ].join('\n'));
    return [join(unpacked, 'usr/sbin/proftpd'), ['-n', '-q', '-c', config]];
  }
}

async function passwordHash(): Promise<string> {
  return (await runWell('openssl', ['passwd', '-1', '-stdin'], { input: password })).trim();
}

async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', String(pid)]);
  const children = stdout.split('\n').map(Number).filter((child) => child > 0);
  const below = await Promise.all(children.map(childrenOf));
  return [...children, ...below.flat()];
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
