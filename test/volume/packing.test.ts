/**
 * Segments are packed while the mount is in use and its past is being read: what is kept reads the same all the while, afterwards, after a
 * remount, and with an index made again from the packed log.
 */
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ChildProcess } from 'node:child_process';
import t from 'tap';
import type { Test } from 'tap';
import { recordType, segmentFileName } from '../../engine/log-format.js';
import { LogSegments } from '../../engine/log-segments.js';
import { loadAddon } from '../../engine/native.js';
import { packSegment } from '../../engine/segment-packing.js';
import type { PackResult } from '../../engine/segment-packing.js';
import { withDirectory } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { repositoryRoot } from '../support/places.js';
import { runWell, start } from '../support/processes.js';

t.setTimeout(300_000);

const fileMib = 24;
const versionCount = 6;

/** A packing-daemon.ts of a mount. */
class Packer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(mount: Mount) {
    this.#child = start(process.execPath, [join(repositoryRoot, 'dist/test/volume/packing-daemon.js'), mount.directory, mount.mountpoint]);
    this.#child.stderr?.pipe(process.stderr);
    this.#lines = createInterface(this.#child.stdout!)[Symbol.asyncIterator]();
  }

  async answer(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the packing daemon has ended');
    return value as string;
  }

  async ask(line: string | bigint): Promise<string> {
    this.#child.stdin?.write(`${line}\n`);
    return this.answer();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }
}

async function overwrite(path: string): Promise<void> {
  await runWell('dd', ['if=/dev/urandom', `of=${path}`, 'bs=1M', `count=${fileMib}`, 'conv=notrunc,fsync', 'status=none']);
}

/** Past the kernel's cache. */
async function digest(path: string): Promise<string> {
  return runWell('sh', ['-c', 'dd if="$1" bs=1M iflag=direct status=none | sha256sum', 'sh', path]);
}

function past(mount: Mount, txid: string, name: string): string {
  return mount.path('.snapshots', `@txn-${txid}`, name);
}

/** Writes, packs, and compares what is kept before, meanwhile and afterwards. */
async function packInUse(t: Test, mount: Mount, packer: Packer): Promise<(when: string) => Promise<void>> {
  t.equal(await packer.answer(), 'ready');
  const versions: { readonly txid: string; readonly digest: string }[] = [];
  for (let version = 0; version < versionCount; version += 1) {
    for (const name of ['kept', 'given-up']) await overwrite(mount.path(name));
    versions.push({ txid: await packer.ask('now'), digest: await digest(mount.path('kept')) });
  }
  const compare = async (when: string): Promise<void> => {
    const read = [];
    for (const { txid } of versions) read.push({ txid, digest: await digest(past(mount, txid, 'kept')) });
    t.same(read, versions, when);
  };

  let isPacking = true;
  const packed = packer.ask(statSync(mount.path('given-up'), { bigint: true }).ino).finally(() => { isPacking = false; });
  for (let round = 0; isPacking || round < 2; round += 1) await Promise.all([compare('while segments are packed'), overwrite(mount.path('new'))]);
  const results = JSON.parse(await packed) as PackResult[];
  t.ok(results.length >= 2 && results.every(({ isPacked, bytesBefore, bytesAfter }) => isPacked && bytesAfter < bytesBefore * 0.7), 'space is given back', { results });
  t.throws(() => readFileSync(past(mount, versions[0]!.txid, 'given-up')), { code: 'EIO' }, 'what was left out is not made up');
  t.same((JSON.parse(await packer.ask(0n)) as PackResult[]).filter(({ isPacked }) => isPacked), [], 'once is enough');
  return compare;
}

/** Of the first segment only every third END is kept. While nothing is mounted. */
async function leaveEndsOut(t: Test, mount: Mount): Promise<void> {
  const { crc32c: crc, unsharedBytes } = await loadAddon();
  const directory = join(mount.directory, '.tidemark/log');
  const packableBelow = new LogSegments(directory, crc).refresh()[1]?.base ?? 0;
  let ends = 0;
  const { recordsKept } = packSegment({ directory, segment: 1, packableBelow, crc, ownBytes: unsharedBytes(join(directory, segmentFileName(1))) }, ({ type }) => type === recordType.end && ++ends % 3 === 1);
  t.ok(recordsKept > 1 && ends > recordsKept, 'some are kept, some are not');
}

void t.test('what is kept reads the same while segments are packed, and afterwards', async (t) => {
  await withDirectory(t, { apart: true }, async (mount) => {
    const packer = new Packer(mount);
    try {
      const compare = await packInUse(t, mount, packer);
      await packer.end();
      await mount.mount();
      await compare('after a remount');
      t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
      await mount.unmount();
      await mount.cliWell('verify', mount.directory, '--rebuild-index');
      await mount.mount();
      await compare('with the index made again');
      t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
      await mount.unmount();
      await leaveEndsOut(t, mount);
      t.match(await mount.cliWell('verify', mount.directory), /all is well/, 'ENDs that packing left out are not missed');
    } finally {
      packer.kill();
    }
  });
});
