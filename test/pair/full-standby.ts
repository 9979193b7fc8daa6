/**
 * A standby whose disk is full: the primary goes on, and when there is room again the standby catches up, whole. In: nothing. Throws with what is wrong.
 */
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeLoopDisk } from '../support/loop-disk.js';
import type { Commented, Mount } from '../support/mount.js';
import { caughtUp, differences, standingOf, verifyBoth, withPair } from '../support/pair.js';
import { run, runWell, until } from '../support/processes.js';

const diskBytes = 96 << 20;
const fileBytes = 8 << 20;

/** Fills the standby's disk from outside, past its mount, until the body has ended. */
async function withFullDisk(standby: Mount, body: () => Promise<void>): Promise<void> {
  const outside = join(standby.place, 'outside');
  mkdirSync(outside, { recursive: true });
  const device = (await runWell('losetup', ['--list', '--noheadings', '--output', 'NAME', '--associated', join(standby.place, 'disk.img')])).trim();
  await runWell('mount', [device, outside]);
  const ballast = join(outside, '.tidemark', 'ballast');
  try {
    const { bavail, bsize } = statfsSync(outside);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize - (1 << 20), 'full'));
    await body();
  } finally {
    rmSync(ballast, { force: true });
    await run('umount', [outside]);
  }
}

/** Returns what was done, in a line. `listener` hears the daemons' logs when it throws. */
export async function fullStandbyRound(listener: Commented): Promise<string> {
  const prepare = (directory: string): Promise<void> => makeLoopDisk('ext4', directory, diskBytes);
  await withPair(listener, { standby: { prepare } }, async ({ primary, standby }) => {
    writeFileSync(primary.path('first'), 'before');
    await caughtUp(primary);
    await withFullDisk(standby, async () => {
      for (let count = 0; count < 3; count++) writeFileSync(primary.path(`large ${count}`), Buffer.alloc(fileBytes, `${count}`));
      await until(async () => ((await standingOf(primary)).standbys[0]?.lagTransactions ?? 0) > 0, 'a lag');
      writeFileSync(primary.path('meanwhile'), 'written');
      await until(() => /No space|ENOSPC|full/.test(standby.daemonLog()), 'the standby to say why', 90_000);
      if (existsSync(standby.path('meanwhile'))) throw new Error('a transaction was shown that there was no room for');
    });
    await caughtUp(primary, 90_000);
    const different = differences(primary.mountpoint, standby.mountpoint);
    if (different.length > 0) throw new Error(`the trees differ: ${different.join('; ')}`);
    await verifyBoth({ primary, standby });
  });
  return 'pair: a standby with a full disk, which caught up when there was room';
}
