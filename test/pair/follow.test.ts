/**
 * A standby holds the history of its primary, moment for moment, whatever is changed there and however often its receiver is killed; it takes over and hands back.
 */
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { caughtUp, differences, killReceiver, standingOf, verifyBoth, withPair } from '../support/pair.js';
import type { Mount } from '../support/mount.js';
import { isRoot } from '../support/places.js';
import { until } from '../support/processes.js';
import { RandomTree } from '../support/random-tree.js';
import { Random, chooseSeed } from '../support/seed.js';

t.setTimeout(180_000);
const onlyRoot = isRoot ? {} : { skip: 'a pair needs root' };

/** What `log` says of a transaction, without the order of lines in it. */
async function logOf(mount: Mount, since: number, upTo: number): Promise<string[]> {
  const lines = await mount.json('log', mount.mountpoint, '--limit', '10000');
  return lines.filter(({ txid }) => Number(txid) > since && Number(txid) <= upTo).map(({ txid, time, path, uid, pid, command }) => JSON.stringify([txid, time, path, uid, pid, command])).sort();
}

void t.test('every moment of the primary is on the standby, also when its receiver is killed', onlyRoot, async (t) => {
  const seed = chooseSeed();
  const random = new Random(seed);
  t.comment(`TIDEMARK_SEED=${seed}`);
  const prepare = (directory: string): void => {
    const tree = new RandomTree(directory, random);
    for (let count = 0; count < 60; count++) tree.change();
  };
  await withPair(t, { prepare }, async ({ primary, standby }) => {
    await caughtUp(primary);
    t.strictSame(differences(primary.mountpoint, standby.mountpoint), [], 'after the initial sync');
    const base = Number((await standingOf(standby)).txid);
    // A change of mode ends no transaction by itself: it must not be overlooked until the timer does.
    writeFileSync(primary.path('guarded'), 'for all to read', { mode: 0o644 });
    await caughtUp(primary);
    chmodSync(primary.path('guarded'), 0o600);
    await caughtUp(primary);
    t.equal(statSync(standby.path('guarded')).mode & 0o777, 0o600, 'a change in a transaction that is still open counts as lag');
    const tree = new RandomTree(primary.mountpoint, random);
    for (let count = 0; count < 400; count++) {
      tree.change();
      if (random.oneIn(100)) await killReceiver(standby);
    }
    await caughtUp(primary);
    t.strictSame(differences(primary.mountpoint, standby.mountpoint), [], 'the live tree');
    const last = Number((await standingOf(primary)).txid);
    for (let txid = base; txid <= last; txid += 1 + random.below(20)) {
      const [one, other] = [primary, standby].map((mount) => mount.path('.snapshots', `@txn-${txid}`));
      t.strictSame(differences(one!, other!), [], `transaction ${txid}`);
    }
    t.strictSame([...new Set(await logOf(standby, base, last))], [...new Set(await logOf(primary, base, last))], 'the log');
    t.throws(() => { writeFileSync(standby.path('new'), ''); }, { code: 'EROFS' });
    await verifyBoth({ primary, standby });
  });
});

void t.test('the standby takes over, and the old primary comes back without losing anything', onlyRoot, async (t) => {
  await withPair(t, { prepare: (directory) => { writeFileSync(join(directory, 'file'), 'first'); } }, async ({ primary, standby }) => {
    await caughtUp(primary);
    await primary.cliWell('pair', 'pause', primary.mountpoint);
    await sleep(100);
    writeFileSync(primary.path('file'), 'never seen elsewhere');
    mkdirSync(primary.path('tail'));
    await primary.cliWell('log', primary.mountpoint);
    await primary.kill9();
    t.match((await standby.cli('pair', 'promote', standby.mountpoint)).stderr, /cannot be asked to hand over/);
    await standby.cliWell('pair', 'promote', standby.mountpoint, '--takeover');
    appendFileSync(standby.path('file'), ' and more');
    t.equal(readFileSync(standby.path('file'), 'utf8'), 'first and more');
    await primary.mount();
    await until(async () => (await standingOf(primary)).role === 'standby' && existsSync(standby.path('file')), 'the old primary to follow');
    await caughtUp(standby);
    t.equal(readFileSync(primary.path('file'), 'utf8'), 'first and more');
    const [pin] = await primary.json('pins', primary.mountpoint);
    t.match(String(pin?.['name']), /^diverged-/);
    const tail = primary.path('.snapshots', `@${String(pin?.['name'])}`);
    t.equal(readFileSync(join(tail, 'file'), 'utf8'), 'never seen elsewhere');
    t.ok(existsSync(join(tail, 'tail')));
    t.strictSame(differences(primary.mountpoint, standby.mountpoint), []);
    await primary.cliWell('pair', 'promote', primary.mountpoint);
    await until(async () => (await standingOf(standby)).primary?.link === 'following', 'the roles to be exchanged', 30_000);
    writeFileSync(primary.path('file'), 'home again');
    await caughtUp(primary);
    t.equal(readFileSync(standby.path('file'), 'utf8'), 'home again');
    const { txid: good } = await standingOf(primary);
    writeFileSync(primary.path('file'), 'all is lost');
    mkdirSync(primary.path('ransom'));
    await caughtUp(primary);
    const { txid: bad } = await standingOf(standby);
    await standby.cliWell('pair', 'promote', standby.mountpoint, '--at', `txn-${good}`);
    t.equal(readFileSync(standby.path('file'), 'utf8'), 'home again', 'the files of then');
    t.notOk(existsSync(standby.path('ransom')));
    t.equal(readFileSync(standby.path('.snapshots', `@txn-${bad}`, 'file'), 'utf8'), 'all is lost', 'what came after is in the past');
    appendFileSync(standby.path('file'), ' for good');
    await caughtUp(standby);
    t.strictSame(differences(primary.mountpoint, standby.mountpoint), []);
    await verifyBoth({ primary, standby });
  });
});
