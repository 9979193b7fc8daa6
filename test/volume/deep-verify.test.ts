/**
 * `verify --deep` on a disk that has lost blocks (btrfs finds that their checksums are wrong): live files, deleted ones and the log are read back, and each that cannot be is named.
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { crc32c } from '../../engine/crc32c.js';
import { makeFileId } from '../../engine/ids.js';
import { checkingReader, describeLogFault } from '../../engine/log-check.js';
import type { LogFault } from '../../engine/log-check.js';
import { recordType } from '../../engine/log-format.js';
import { LogWriter } from '../support/log-writer.js';
import { imageOf, makeLoopDisk, mountLoopDisk } from '../support/loop-disk.js';
import { withDirectory, withMount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { runWell } from '../support/processes.js';

t.setTimeout(120_000);

const blockBytes = 4096;
const skip = !isRoot ? 'needs root' : await unlessInstalled('mkfs.btrfs');

/** Takes the disk away, has it lose each block that begins with one of the texts, and brings it back. */
async function lose(directory: string, texts: readonly string[]): Promise<void> {
  await runWell('umount', [directory]);
  const image = readFileSync(imageOf(directory));
  const disk = openSync(imageOf(directory), 'r+');
  for (const text of texts) {
    const at = image.indexOf(text);
    if (at < 0) throw new Error(`the disk has no "${text}"`);
    writeSync(disk, 'X', at);
  }
  closeSync(disk);
  await mountLoopDisk(directory);
}

async function prepare(directory: string): Promise<void> {
  await makeLoopDisk('btrfs', directory, 256 << 20);
  mkdirSync(join(directory, 'folder'));
  const file = (name: string, text: string): void => writeFileSync(join(directory, 'folder', name), Buffer.concat([Buffer.alloc(blockBytes, 'x'), Buffer.alloc(3 * blockBytes, text)]), { flush: true });
  file('live', 'what the live file had ');
  file('deleted', 'what the deleted file had ');
  file('good', 'what the good file has ');
  await lose(directory, ['what the live file had ', 'what the deleted file had ']);
}

void t.test('a deep check names each live and each deleted file that cannot be read back', { skip }, async (t) => {
  await withMount(t, { prepare }, async (mount) => {
    rmSync(mount.path('folder', 'deleted'));
    await mount.cliWell('verify', mount.directory);
    for (const how of ['mounted', 'not mounted']) {
      if (how === 'not mounted') await mount.unmount();
      const outcome = await mount.cli('verify', mount.directory, '--deep', '--json');
      t.equal(outcome.status, 1, how);
      const report = JSON.parse(outcome.stdout) as { faults: { where: string; what: string }[]; readBack: { files: number; bytes: number } };
      t.match(report.faults, [{ where: '/folder/live', what: /byte 4096 \(EIO\)/ }, { where: /^objects\/../, what: /byte 4096 \(EIO\)/ }]);
      t.equal(report.faults.length, 2);
      t.equal(report.readBack.files, 3);
      t.equal(report.readBack.bytes, 10 * blockBytes, 'everything behind the lost blocks is read, too');
    }
  });
});

void t.test('a deep check of a good volume reads everything, and leaves access times alone', async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), Buffer.alloc(3 << 20, 'x'));
    utimesSync(mount.path('file'), 1, 2);
    writeFileSync(mount.path('other'), 'y');
    rmSync(mount.path('other'));
    const text = await mount.cliWell('verify', mount.directory, '--deep');
    t.match(text, /read back 3\.0 MiB in 2 files: all is well/);
    t.equal(statSync(mount.path('file')).atimeMs, 1000);
  });
});

void t.test('a block of the log that the disk has lost is a fault, and the rest is read', { skip }, async (t) => {
  await withDirectory(t, { prepare: (directory) => makeLoopDisk('btrfs', directory, 256 << 20) }, async (mount) => {
    const log = join(mount.directory, 'log');
    const writer = new LogWriter(log, 128 * 1024);
    const lsns = Array.from({ length: 40 }, (_, index) => {
      const body = Buffer.alloc(16 * 1024, `the body of record ${index} `);
      return writer.append({ type: recordType.extent, flags: 0, aux: 1, file: makeFileId(7n, 1), txid: BigInt(index + 1), offset: 0n, size: BigInt(body.length) }, body);
    });
    writer.close();
    await lose(mount.directory, ['the body of record 21 ']);
    const faults: LogFault[] = [];
    const read: number[] = [];
    const reader = checkingReader({ directory: log, position: 0, crc: crc32c, onFault: (fault) => { faults.push(fault); } });
    for (let record = reader.next(writer.end); record !== undefined; record = reader.next(writer.end)) read.push(record.lsn);
    reader.close();
    // The lost block begins in the record before.
    t.same(read, lsns.filter((_, index) => index !== 20 && index !== 21));
    t.match(faults.map(describeLogFault), [{ where: new RegExp(`position ${lsns[20]}`), what: /EIO/ }]);
    t.equal(faults.length, 1);
  });
});
