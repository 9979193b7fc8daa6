/**
 * Giving up history, on a real mount: what `prune` says and does, what stays readable, what comes back to the disk; and when the daemon is killed on the way.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, unlinkSync, writeFileSync, writeSync, fsyncSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { makeLoopDisk } from '../support/loop-disk.js';
import { isRoot } from '../support/places.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(180_000);
// They mostly wait.
t.jobs = 3;

const mebibyte = 1 << 20;

/** The policy of these tests: moments one second apart, two seconds after they were made. */
const strict = ['--ladder', '2s:all,1h:1s', '--at-least', '1s'] as const;

void t.test('what is kept stays as it was, the rest gives its space back', async (t) => {
  await withMount(t, { apart: true }, async (mount) => {
    const path = mount.path('file');
    const bytes = new Map<number, string>();
    for (let version = 0; version < 6; version++) bytes.set(await overwritten(mount, path, 40 * mebibyte), digest(path));
    unlinkSync(path);
    writeFileSync(path, 'another file\n');
    await sleep(6100);
    // The two newest segments are not packed.
    for (let version = 0; version < 3; version++) await overwritten(mount, mount.path('filler'), 70 * mebibyte);
    const before = historyBytes(mount);
    await mount.cliWell('policy', mount.mountpoint, '--ladder', '6s:all', '--at-least', '1s');
    const [preview] = await mount.json('prune', mount.mountpoint, '--dry-run');
    t.ok(Number(preview?.['gone']) >= 8, `${String(preview?.['gone'])} moments would go`);
    t.equal(historyBytes(mount), before, 'nothing has gone yet');

    const [done] = await mount.json('prune', mount.mountpoint);
    t.ok(Number(done?.['gone']) >= Number(preview?.['gone']), 'what was told has gone, and what has grown old since');
    const [told, dead] = [Number(done?.['bytes']), Number(preview?.['bytes'])];
    t.ok(told > 0.95 * dead, `${told} of ${dead} bytes came back`);
    t.ok(Math.abs(before - historyBytes(mount) - told) < mebibyte, 'as the disk says, too');
    for (const txid of bytes.keys()) t.throws(() => readFileSync(mount.path('.snapshots', `@txn-${txid}`, 'file')), { code: 'ENOENT' }, `txn-${txid} is gone`);
    t.equal(readFileSync(path, 'utf8'), 'another file\n', 'the live tree is as it was');
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
  });
});

void t.test('thinned moments read bit for bit the same, also from an index made again', async (t) => {
  await withMount(t, {}, async (mount) => {
    const path = mount.path('file');
    const contents = new Map<number, Buffer>();
    const until = Date.now() + 8000;
    for (let version = 0; Date.now() < until || version < 12; version++) {
      writeFileSync(path, `version ${version}\n`);
      const part = randomBytes(10_000);
      const file = openSync(mount.path('parts'), 'a+');
      writeSync(file, part, 0, part.length, version % 7 * 4096);
      closeSync(file);
      if (version % 5 === 0) rmSync(mount.path(`gone-${version - 10}`), { force: true });
      writeFileSync(mount.path(`gone-${version}`), part);
      contents.set(await lastTransaction(mount), Buffer.concat([readFileSync(path), readFileSync(mount.path('parts'))]));
      await sleep(40);
    }
    await mount.cliWell('pin', mount.mountpoint, 'kept', '--at', `txn-${[...contents.keys()][3]}`);
    await mount.cliWell('policy', mount.mountpoint, ...strict);
    await mount.cliWell('prune', mount.mountpoint);
    await mount.cliWell('unmount', mount.mountpoint);
    await mount.cliWell('verify', '--rebuild-index', mount.directory);
    await mount.mount();
    const compared = [...contents].filter(([txid, content]) => isThere(mount, txid) && stateAt(mount, txid).equals(content)).length;
    const there = [...contents.keys()].filter((txid) => isThere(mount, txid)).length;
    t.equal(compared, there, `${there} of ${contents.size} moments are there and as they were`);
    t.ok(there >= 3 && there < contents.size, 'some are there, some are not');
    t.ok(isThere(mount, [...contents.keys()][3]!), 'the pinned one is');
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
  });
});

void t.test('history takes no more of the disk than it may', { skip: !isRoot && 'needs root' }, async (t) => {
  const prepare = (directory: string): Promise<void> => makeLoopDisk('ext4', directory, 1 << 30);
  await withMount(t, { apart: true, prepare }, async (mount) => {
    const path = mount.path('file');
    const contents = new Map<number, string>();
    for (let version = 0; version < 12; version++) {
      contents.set(await overwritten(mount, path, 40 * mebibyte), digest(path));
      await sleep(300);
    }
    t.ok(historyBytes(mount) > 400 * mebibyte, `${historyBytes(mount)} bytes of history on a disk of 1 GiB`);
    await mount.cliWell('policy', mount.mountpoint, '--disk-share', '25%', '--at-least', '1s');
    t.match(await mount.cliWell('prune', mount.mountpoint, '--dry-run'), /takes more of the disk/);
    const [done] = await mount.json('prune', mount.mountpoint);
    t.equal(done?.['takesTooMuch'], false, 'it takes no more');
    t.ok(historyBytes(mount) < 270 * mebibyte, `${historyBytes(mount)} bytes are left`);
    const there = [...contents].filter(([txid]) => isThere(mount, txid));
    t.ok(there.length >= 2 && there.length < contents.size, `${there.length} of ${contents.size} moments are there`);
    t.strictSame(there, [...contents].slice(-there.length), 'the youngest');
    for (const [txid, content] of there) t.equal(digest(mount.path('.snapshots', `@txn-${txid}`, 'file')), content, `txn-${txid} is as it was`);
  });
});

void t.test('what somebody has open stays', async (t) => {
  await withMount(t, {}, async (mount) => {
    const path = mount.path('file');
    writeFileSync(path, 'first\n');
    const txid = await lastTransaction(mount);
    for (let version = 0; version < 20; version++) writeFileSync(path, `version ${version}\n`);
    const open = openSync(mount.path('.snapshots', `@txn-${txid}`, 'file'), 'r');
    await sleep(2100);
    await mount.cliWell('policy', mount.mountpoint, '--ladder', '1s:all', '--at-least', '1s');
    await mount.cliWell('prune', mount.mountpoint);
    t.equal(readFileSync(open, 'utf8'), 'first\n');
    closeSync(open);
  });
});

void t.test('a pruning that a crash ended goes on', async (t) => {
  await withMount(t, {}, async (mount) => {
    const path = mount.path('file');
    for (let version = 0; version < 5; version++) await overwritten(mount, path, 30 * mebibyte);
    await sleep(2100);
    await mount.cliWell('policy', mount.mountpoint, '--ladder', '1s:all', '--at-least', '1s', '--versions', '1');
    const live = digest(path);
    for (const afterMs of [5, 50, 200]) {
      const pruning = mount.cli('prune', mount.mountpoint);
      await sleep(afterMs + 150);
      await mount.kill9();
      await pruning;
      await mount.mount();
      t.equal(digest(path), live, 'the live file is as it was');
      t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
    }
    await mount.cliWell('prune', mount.mountpoint);
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
  });
});

void t.test('policies that make no sense change nothing', async (t) => {
  await withMount(t, {}, async (mount) => {
    const before = await mount.cliWell('policy', mount.mountpoint);
    const wrongs: readonly (readonly [readonly string[], RegExp, 1 | 2])[] = [
      [['--ladder', '7d:1m,1d:1h'], /goes back in age/, 1], [['--ladder', 'x'], /no rung/, 1], [['--disk-share', '0%'], /no share/, 1],
      [['--at-least', '2y', '--ladder', '1d:all'], /keeps nothing that old/, 1], [['--reset', '--ladder', '1d:all'], /give it alone/, 2],
    ];
    for (const [wrong, says, status] of wrongs) isRefusal(t, await mount.cli('policy', mount.mountpoint, ...wrong), says, status);
    t.equal(await mount.cliWell('policy', mount.mountpoint), before);
    isRefusal(t, await mount.cli('prune', mount.place), /in no mounted volume/);
  });
});

/** Overwrites a file with random bytes, synced; gives the transaction. */
async function overwritten(mount: Mount, path: string, length: number): Promise<number> {
  const file = openSync(path, 'a');
  closeSync(file);
  truncateSync(path, length);
  const overwrite = openSync(path, 'r+');
  for (let offset = 0; offset < length; offset += mebibyte) writeSync(overwrite, randomBytes(mebibyte), 0, mebibyte, offset);
  fsyncSync(overwrite);
  closeSync(overwrite);
  return lastTransaction(mount);
}

async function lastTransaction(mount: Mount): Promise<number> {
  const [change] = await mount.json('log', mount.mountpoint, '--limit', '1');
  return Number(change?.['txid']);
}

function stateAt(mount: Mount, txid: number): Buffer {
  const then = mount.path('.snapshots', `@txn-${txid}`);
  return Buffer.concat([readFileSync(join(then, 'file')), readFileSync(join(then, 'parts'))]);
}

function isThere(mount: Mount, txid: number): boolean {
  return statSync(mount.path('.snapshots', `@txn-${txid}`), { throwIfNoEntry: false }) !== undefined;
}

function digest(path: string): string {
  return createHash('sha1').update(readFileSync(path)).digest('hex');
}

/** What the log takes on the disk. */
function historyBytes(mount: Mount): number {
  const log = join(mount.directory, '.tidemark', 'log');
  return readdirSync(log).reduce((sum, name) => sum + statSync(join(log, name)).blocks * 512, 0);
}
