/**
 * Changes of names that the log tells of and that recovery cannot finish: the next mount works at once, and log and tree agree. (Both were found
 * by chance, by test/power and failpoints.test.ts: verify said that a name "is not what the log last said".)
 */
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { decodeName, nameOperation } from '../../engine/log-bodies.js';
import { recordHeaderBytes, recordType, segmentHeaderBytes } from '../../engine/log-format.js';
import { Worker } from '../model/worker.js';
import { compile } from '../support/compile.js';
import { withMount } from '../support/mount.js';

t.setTimeout(120_000);

void t.test('a rename whose second record is lost is taken back', async (t) => {
  await withMount(t, { apart: true }, async (mount) => {
    writeFileSync(mount.path('old'), 'content', { flush: true });
    const { txid } = (await mount.json('status', mount.mountpoint))[0] as { txid: string };
    renameSync(mount.path('old'), mount.path('new'));
    await mount.kill9();
    cutBeforeSecondHalf(mount.directory);
    renameSync(join(mount.directory, 'new'), join(mount.directory, 'old'));
    await mount.mount();
    t.equal(readFileSync(mount.path('old'), 'utf8'), 'content');
    t.notOk(existsSync(mount.path('new')));
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
    t.same(readdirSync(mount.path('.snapshots', `@txn-${txid}`)), ['old'], 'the snapshot before');
    t.same(readdirSync(mount.path('.snapshots', '@0s')), ['old'], 'the newest snapshot');
  });
});

void t.test('a link to a file without a name, which went with the daemon, is taken back', async (t) => {
  await withMount(t, {}, async (mount) => {
    const program = join(mount.place, 'worker');
    await compile(['test/model/worker.c', 'test/model/operations.c', 'test/model/describe.c'], program);
    await mount.unmount();
    await mount.mount({ TIDEMARK_FAILPOINT: 'after-undo:1' });
    const worker = new Worker(program, { mount: mount.mountpoint, twin: mount.runtime });
    await worker.operate(['tmpfile', 'a', 100, 1]);
    await worker.end();
    await mount.died();
    await mount.mount();
    t.notOk(existsSync(mount.path('a')));
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
  });
});

/** Ends the log before the record that says what the new name led to. */
function cutBeforeSecondHalf(directory: string): void {
  const log = join(directory, '.tidemark/log');
  const path = join(log, readdirSync(log).sort().at(-1) ?? '');
  const bytes = readFileSync(path);
  for (let at = segmentHeaderBytes; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at + 4);
    const isName = bytes.readUInt8(at + 8) === recordType.name;
    if (isName && decodeName(bytes.subarray(at + recordHeaderBytes, at + length), bytes.readUInt16LE(at + 10)).operation === nameOperation.renameTo) {
      const file = openSync(path, 'r+');
      ftruncateSync(file, at);
      closeSync(file);
      return;
    }
    at += Math.ceil(length / 8) * 8;
  }
  throw new Error('the log tells of no rename');
}
