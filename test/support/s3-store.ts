/**
 * An S3 store of a test: Ceph's radosgw on loopback ports, with a cluster of its own in memory (radosgw.sh). In: a fresh directory. Out: places to send to, and a client to look behind them.
 *
 * Invariants:
 * 1. Nothing outside the given directory is written.
 * 2. When `stop` has returned, or this process has ended, no process of the store is left.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3Place } from '../../replica/place.js';
import { makeCertificates } from './certificates.js';
import { unlessInstalled } from './needs.js';
import { repositoryRoot } from './places.js';
import { answers, freePort } from './ports.js';
import { isAlive, run, runWell, start, until } from './processes.js';

const keys = { accessKeyId: 'KEEPERKEY', secretAccessKey: 'a-secret-word' };

/** For tap's `skip`: false when it can be had. */
export function unlessS3Store(): Promise<string | false> {
  return unlessInstalled('radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'ceph', 'monmaptool');
}

export class S3Store {
  readonly port: number;
  readonly tlsPort: number;
  readonly passwordFile: string;
  /** The authority that its certificate is from. */
  readonly ca: string;
  readonly client: S3Client;
  readonly #directory: string;
  readonly #child: ChildProcess;

  private constructor(directory: string, port: number, tlsPort: number, child: ChildProcess) {
    this.port = port;
    this.tlsPort = tlsPort;
    this.#directory = directory;
    this.#child = child;
    this.passwordFile = join(directory, 'keys');
    this.ca = join(directory, 'ca.pem');
    this.client = this.clientWith({});
  }

  static async start(directory: string): Promise<S3Store> {
    mkdirSync(directory, { recursive: true });
    await makeCertificates(directory);
    const [monitor, port, tlsPort] = [await freePort(), await freePort(), await freePort()];
    const child = start('sh', [join(repositoryRoot, 'test/support/radosgw.sh'), join(directory, 'ceph'), String(monitor), String(port), String(tlsPort), join(directory, 'server.pem')]);
    const said: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk));
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`the store ended: ${Buffer.concat(said).toString()}`);
      return answers(port);
    }, 'radosgw to listen', 60_000);
    const store = new S3Store(directory, port, tlsPort, child);
    writeFileSync(store.passwordFile, `${keys.accessKeyId} ${keys.secretAccessKey}\n`, { mode: 0o600 });
    await store.admin('user', 'create', '--uid', 'keeper', '--display-name', 'keeper', '--access-key', keys.accessKeyId, '--secret-key', keys.secretAccessKey);
    return store;
  }

  async stop(): Promise<void> {
    this.client.destroy();
    const pid = this.#child.pid!;
    const family = (await run('ps', ['-o', 'pid=', '--ppid', String(pid)])).stdout.split('\n').map(Number).filter((each) => each > 0);
    this.#child.stdin?.end();
    await until(() => [pid, ...family].every((each) => !isAlive(each)), 'the store to end');
  }

  /** A client with other settings than the store's own. */
  clientWith(config: S3ClientConfig): S3Client {
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    return new S3Client({ endpoint: `http://127.0.0.1:${this.port}`, region: 'us-east-1', forcePathStyle: true, credentials: keys, ...config });
  }

  /** radosgw-admin; what it prints. */
  admin(...words: string[]): Promise<string> {
    return runWell('radosgw-admin', ['-n', 'client.gateway', '--admin-socket', '', '--log-file', '/dev/null', ...words], { environment: { CEPH_CONF: join(this.#directory, 'ceph/ceph.conf') } });
  }

  /** DEST and its options, for the command line. */
  arguments(path: string, how: 'clear' | 'tls' = 'clear'): string[] {
    const access = how === 'clear' ? ['--endpoint', `http://127.0.0.1:${this.port}`, '--clear-text'] : ['--endpoint', `https://127.0.0.1:${this.tlsPort}`, '--ca', this.ca];
    return [`s3://${path}`, ...access, '--password-file', this.passwordFile];
  }

  place(bucket: string, prefix: string): S3Place {
    return { kind: 's3', bucket, prefix, endpoint: `http://127.0.0.1:${this.port}`, region: 'us-east-1', pathStyle: true, password: { file: this.passwordFile }, connections: 4 };
  }

  async makeBucket(name: string): Promise<void> {
    await this.client.send(new CreateBucketCommand({ Bucket: name }));
  }

  /** Keys with their lengths. */
  async list(bucket: string, prefix = ''): Promise<Map<string, number>> {
    const { Contents: contents = [] } = await this.client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    return new Map(contents.map(({ Key: key = '', Size: size = 0 }) => [key, size]));
  }

  async get(bucket: string, key: string): Promise<Buffer> {
    const { Body: body } = await this.client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return Buffer.from(await body!.transformToByteArray());
  }

  async put(bucket: string, key: string, bytes: Buffer): Promise<void> {
    await this.client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes }));
  }

  async remove(bucket: string, key: string): Promise<void> {
    await this.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  }

  /** What the daemons of the store said last. */
  log(): string {
    return readFileSync(join(this.#directory, 'ceph/gateway.out'), 'utf8').slice(-4000);
  }
}
