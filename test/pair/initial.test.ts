/**
 * The beginning of a standby: from a copy that holds the half already, broken off again and again while the primary is written; a second standby beside it, whose clock is ten minutes slow.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { compileLibrary } from '../support/compile.js';
import { withDirectory } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { differences, joinTo, killReceiver, standingOf, verifyBoth, withPair } from '../support/pair.js';
import { isRoot } from '../support/places.js';
import { until } from '../support/processes.js';

t.setTimeout(120_000);
const onlyRoot = isRoot ? {} : { skip: 'a pair needs root' };
const fileCount = 300;
const fileBytes = 20_000;
const slowSeconds = -600;

function fill(directory: string, from: number, text: string): void {
  for (let count = from; count < fileCount; count++) {
    const below = join(directory, `${count % 7}`);
    mkdirSync(below, { recursive: true });
    writeFileSync(join(below, `${count}`), Buffer.alloc(fileBytes, `${text} ${count} `));
  }
}

async function allCaughtUp(primary: Mount): Promise<void> {
  await until(async () => {
    const { txid, standbys } = await standingOf(primary);
    return standbys.every(({ applied, lagTransactions }) => applied === txid && lagTransactions === 0);
  }, 'all standbys to catch up', 60_000);
}

/** A copy in which the second half is right, some of the first half is wrong, and something is too much. */
function seed(directory: string): void {
  fill(directory, fileCount / 2, 'right');
  writeFileSync(join(directory, '0', '0'), Buffer.alloc(fileBytes, 'wrong'));
  mkdirSync(join(directory, 'too', 'much'), { recursive: true });
}

void t.test('an initial sync from a copy, broken off again and again; a second standby with a slow clock', onlyRoot, async (t) => {
  const library = join(await mkdtemp(join(tmpdir(), 'tidemark-clock-')), 'shifted-clock.so');
  t.teardown(() => { rmSync(join(library, '..'), { recursive: true }); });
  await compileLibrary(['test/pair/shifted-clock.c'], library);
  const environment = { LD_PRELOAD: library, CLOCK_SHIFT: String(slowSeconds) };
  await withPair(t, { prepare: (directory) => { fill(directory, 0, 'right'); }, seed }, async ({ primary, standby }) => {
    for (let count = 0; count < 3; count++) {
      await sleep(150);
      await killReceiver(standby);
      writeFileSync(primary.path('0', '7'), `written meanwhile ${count}`);
    }
    await withDirectory(t, { environment }, async (slow) => {
      await joinTo(primary, slow);
      await allCaughtUp(primary);
      const [first, second] = (await standingOf(primary)).standbys;
      t.ok((first?.sentBytes ?? 0) < fileCount * fileBytes * 0.75, `the first was sent ${first?.sentBytes} bytes`);
      t.ok((second?.sentBytes ?? 0) > fileCount * fileBytes, `the second was sent ${second?.sentBytes} bytes`);
      t.notOk(existsSync(standby.path('too')), 'what the primary does not have goes');
      writeFileSync(primary.path('one more'), 'for both');
      await allCaughtUp(primary);
      for (const mount of [standby, slow]) t.strictSame(differences(primary.mountpoint, mount.mountpoint), []);
      await slow.cliWell('pair', 'verify', slow.mountpoint);
      await verifyBoth({ primary, standby });
      await primary.kill9();
      // Its own times must come behind those that it was sent, though its clock stands before them.
      await slow.cliWell('pair', 'promote', slow.mountpoint, '--takeover');
      writeFileSync(slow.path('one more'), 'by a slow clock');
      t.match(await slow.cliWell('log', slow.path('one more')), /write/);
      await slow.cliWell('verify', slow.mountpoint);
    });
  });
});
