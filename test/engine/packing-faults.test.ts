/**
 * Packing that is killed at any step, finds the disk full, or would turn shared blocks into copies: the log is as before or packed, nothing in between, and
 * nothing is left lying about.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { segmentFileName } from '../../engine/log-format.js';
import { loadAddon } from '../../engine/native.js';
import { openStore } from '../../engine/opening.js';
import { makeLoopDisk } from '../support/loop-disk.js';
import { unlessInstalled } from '../support/needs.js';
import { PackedLog } from '../support/packed-log.js';
import { isRoot, makePlace, removePlace, repositoryRoot } from '../support/places.js';
import { run, runWell, until } from '../support/processes.js';
import { Random, chooseSeed } from '../support/seed.js';

t.setTimeout(240_000);

const seed = chooseSeed();
const mebibyte = 1 << 20;
const every = 16;

function isKept(lsn: number): boolean {
  return lsn % every === 0;
}

function lsnsOf(log: PackedLog): number[] {
  const { records, damage } = log.read('all');
  if (damage.length > 0) throw new Error(`damage at ${damage[0]!.lsn}`);
  return records.map(({ lsn }) => lsn);
}

void t.test(`killed at any step, packing leaves the old file or the new one, TIDEMARK_SEED=${seed}`, async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const log = new PackedLog(place, new Random(seed), mebibyte).fill(1500);
  const path = join(log.log, segmentFileName(1));
  const names = readdirSync(log.log);
  const before = readFileSync(path);
  const all = lsnsOf(log);
  const next = Number(readFileSync(join(log.log, segmentFileName(2))).readBigUInt64LE(40));
  const packed = all.filter((lsn) => lsn >= next || isKept(lsn));
  const program = join(repositoryRoot, 'dist/test/engine/packing-child.js');
  let deaths = 0;
  for (const found = new Set<number>(); ; deaths++) {
    const { signal, status, stderr } = await run(process.execPath, [program, log.log, '1', String(log.writer.end), String(deaths + 1), String(every)]);
    if (signal === null && status !== 0) throw new Error(stderr);
    const lsns = lsnsOf(log);
    t.same(lsns, lsns.length === all.length ? all : packed, `step ${deaths + 1}`);
    found.add(lsns.length);
    // The next open clears away what is left, and can read the log.
    const store = openStore(log.directory, { exclude: [] }, await loadAddon());
    t.same(store.native.recovery.damagedAt, []);
    await store.native.close();
    store.files.close();
    t.same(readdirSync(log.log), names, `step ${deaths + 1}: nothing is left`);
    writeFileSync(path, before);
    if (signal !== null) continue;
    t.equal(found.size, 2, 'some deaths came before the rename, some after');
    break;
  }
  t.ok(deaths > 8, `${deaths} steps`);
  log.writer.close();
});

/** On a file system of its own. */
async function withLoopDisk(t: Test, fileSystem: string, bytes: number, body: (log: PackedLog) => Promise<void>): Promise<void> {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const directory = join(place, 'disk');
  mkdirSync(directory);
  await makeLoopDisk(fileSystem, directory, bytes);
  const log = new PackedLog(directory, new Random(seed), 8 * mebibyte).fill(3500);
  await body(log);
  log.writer.close();
}

const skipExt4 = isRoot ? await unlessInstalled('mkfs.ext4') : 'needs root';
void t.test('a full disk is told, and the segment stays as it is', { skip: skipExt4 }, async (t) => {
  await withLoopDisk(t, 'ext4', 64 * mebibyte, async (log) => {
    const path = join(log.log, segmentFileName(1));
    const { bavail, bsize } = statfsSync(log.directory);
    const filler = join(log.directory, 'filler');
    await runWell('fallocate', ['-l', String(bavail * bsize - mebibyte), filler]);
    // What is reserved for root is there for root, too.
    await run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k', 'oflag=append', 'conv=notrunc', 'status=none']);
    const before = readFileSync(path);
    const names = readdirSync(log.log);
    await t.rejects(log.packOne(1, isKept), { name: 'VolumeError', code: 'ENOSPC', message: /^segment 1 of the log cannot be packed and stays as it is: the disk is full; [^\n]*$/ });
    t.same(readFileSync(path), before);
    t.same(readdirSync(log.log), names);
    rmSync(filler);
    const { isPacked, bytesBefore, bytesAfter } = await log.packOne(1, isKept);
    t.ok(isPacked && bytesAfter < bytesBefore);
    t.ok(Math.abs(bytesAfter - statSync(path).blocks * 512) < 64 << 10, 'what is told is what the file takes, but for what the file system needs itself');
  });
});

const skipXfs = isRoot ? await unlessInstalled('mkfs.xfs') : 'needs root';
void t.test('a segment that shares its blocks is not made into a copy', { skip: skipXfs }, async (t) => {
  await withLoopDisk(t, 'xfs', 320 * mebibyte, async (log) => {
    const path = join(log.log, segmentFileName(1));
    const twin = join(log.directory, 'twin');
    await runWell('cp', ['--reflink=always', path, twin]);
    t.match(await log.packOne(1, isKept), { isPacked: false, bytesBefore: 0 });
    rmSync(twin);
    const { unsharedBytes } = await loadAddon();
    await until(() => unsharedBytes(path) >= 8 * mebibyte, 'the file system to have removed the twin, which it does in the background');
    const { isPacked, bytesBefore, bytesAfter } = await log.packOne(1, isKept);
    t.ok(isPacked && bytesAfter < bytesBefore);
  });
});
