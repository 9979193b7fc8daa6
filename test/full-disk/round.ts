/**
 * One long round on a small disk that is filled again and again: by writers, by another program beside the store, with history that may go and with none that may; the daemon is
 * killed in between. In: chance. Out: what was done; throws at the first difference.
 */
import assert from 'node:assert';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { imageOf, makeLoopDisk } from '../support/loop-disk.js';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { run, until } from '../support/processes.js';
import type { Random } from '../support/seed.js';
import { fillDisk, FullDisk, keepAtLeast } from './work.js';

const mebibyte = 1 << 20;
const stages = 6;

export async function fullDiskRound(listener: { comment(...words: unknown[]): void }, random: Random): Promise<string> {
  const diskBytes = random.pick([48, 64, 96, 160, 256]) * mebibyte;
  const writers = 1 + random.below(4);
  const options = random.pick([[], [], ['--every-write'], ['--history=relaxed']]);
  const told: string[] = [];
  await withMount(listener, { apart: true, arguments: options, prepare: (directory) => makeLoopDisk('ext4', directory, diskBytes) }, async (mount) => {
    const disk = new FullDisk(mount, random);
    try {
      await keepAtLeast(mount, '1s');
      await disk.begin(writers, diskBytes / 6);
      for (let stage = 0; stage < stages; stage++) told.push(await runStage(mount, disk, random));
      await mount.unmount();
      await until(async () => (await run('umount', [mount.directory])).status === 0, 'the disk to be free');
      assert.equal((await run('e2fsck', ['-fn', imageOf(mount.directory)])).status, 0, 'the file system is sound');
    } finally {
      await disk.close();
    }
  });
  return `full disk of ${diskBytes / mebibyte} MiB, ${writers} writers ${options.join(' ')}: ${told.join(', ')}`;
}

async function runStage(mount: Mount, disk: FullDisk, random: Random): Promise<string> {
  const kind = random.pick(['plenty', 'plenty', 'none', 'other program', 'kill']);
  const outside = join(mount.directory, 'outside');
  const ms = 2000 + random.below(8000);
  const killed = kind === 'kill' ? sleep(random.below(ms)).then(() => mount.kill9()) : undefined;
  if (kind === 'none') await keepAtLeast(mount, '1h');
  const filled = kind === 'other program' ? sleep(random.below(ms)).then(() => { fillDisk(outside); }) : undefined;
  const { steps, bytes, errors } = await disk.work({ ms: kind === 'none' ? 30_000 : ms, failures: kind === 'plenty' ? 1 : 3 });
  await killed;
  await filled;
  if (killed !== undefined) await mount.mount();
  const allowed = kind === 'plenty' ? [] : kind === 'kill' ? ['ENOTCONN', 'ECONNABORTED', 'EIO', 'ENOSPC'] : ['ENOSPC'];
  const wrong = errors.filter((code) => !allowed.includes(code));
  const live = disk.live();
  // Who looks into the past of a disk without any room waits, and may be told so.
  rmSync(outside, { force: true });
  const past = disk.past();
  const complaints = [...wrong, ...live, ...past.complaints];
  assert(complaints.length === 0, `${kind}: ${complaints.join('\n')}`);
  await keepAtLeast(mount, '1s');
  assert.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
  // What has been looked at would be held for ten minutes, and fill the disk.
  if (random.oneIn(2)) {
    await mount.kill9();
    await mount.mount();
  } else await mount.remount();
  return `${kind} ${steps} steps of ${Math.round(bytes / mebibyte)} MiB, ${errors.length} refused, ${past.compared} compared, ${past.gone} gone`;
}
