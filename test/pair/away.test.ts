/** A standby that is away: its lag is shown and told, its place is kept within a budget, and after that it catches up by comparing. */
import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { caughtUp, differences, standingOf, verifyBoth, withPair } from '../support/pair.js';
import { isRoot } from '../support/places.js';
import { until } from '../support/processes.js';

t.setTimeout(120_000);
const onlyRoot = isRoot ? {} : { skip: 'a pair needs root' };
const fileBytes = 200_000;

function prepare(directory: string): void {
  mkdirSync(join(directory, 'old'));
  for (let count = 0; count < 20; count++) writeFileSync(join(directory, 'old', `${count}`), Buffer.alloc(fileBytes, `${count} `));
}

void t.test('a standby that is away is waited for within a budget, and then catches up by comparing', onlyRoot, async (t) => {
  await withPair(t, { prepare }, async ({ primary, standby }) => {
    const oneOf = async () => (await standingOf(primary)).standbys[0]!;
    const forget = async (): Promise<void> => {
      await sleep(1_100);
      await primary.cliWell('prune', primary.mountpoint);
    };
    await primary.cliWell('policy', primary.mountpoint, '--ladder', '1s:all', '--at-least', '1s');
    await primary.cliWell('pair', 'set', primary.mountpoint, '--alarm-lag', '1s', '--compress', 'on');
    writeFileSync(primary.path('file'), 'zero');
    await caughtUp(primary);
    const { sentBytes = 0 } = await oneOf();
    writeFileSync(primary.path('large'), Buffer.alloc(10 * fileBytes, 'the same again '));
    await caughtUp(primary);
    const smaller = (await oneOf()).sentBytes! - sentBytes;
    t.ok(smaller < fileBytes, `${10 * fileBytes} bytes were sent as ${smaller}`);
    const before = (await standingOf(standby)).txid;

    await standby.cliWell('pair', 'set', standby.mountpoint, '--read-at', '1h');
    writeFileSync(primary.path('file'), 'young');
    await until(async () => (await oneOf()).lagTransactions === 0, 'the standby to have it');
    t.equal(readFileSync(standby.path('file'), 'utf8'), 'zero', 'it is there, and not shown yet');
    await standby.cliWell('pair', 'set', standby.mountpoint, '--read-at', 'latest');
    await caughtUp(primary);
    t.equal(readFileSync(standby.path('file'), 'utf8'), 'young');

    await standby.unmount();
    writeFileSync(primary.path('file'), 'one');
    writeFileSync(primary.path('old', '3'), 'another');
    await until(async () => !(await oneOf()).isConnected, 'the standby to be missed');
    const away = await oneOf();
    t.equal(away.oldest?.path, '/file');
    t.ok((away.lagTransactions ?? 0) >= 2 && away.lagBytes === 10, `it lacks ${away.lagTransactions} transactions and ${away.lagBytes} bytes`);
    // Somebody writes past the standby's mount.
    const tampered = join(standby.directory, 'old', '7');
    const { atime, mtime } = statSync(tampered);
    writeFileSync(tampered, Buffer.alloc(fileBytes, 'x'));
    utimesSync(tampered, atime, mtime);
    await forget();
    t.match(await primary.cliWell('alarms', primary.mountpoint), /\d s behind/);
    await standby.mount();
    await caughtUp(primary);
    t.ok((await oneOf()).sentBytes! < 10_000, 'it went on where it was');
    t.notMatch(await primary.cliWell('alarms', primary.mountpoint), /\d s behind/);

    for (const mount of [primary, standby]) t.match(await mount.cli('pair', 'verify', mount.mountpoint), { status: 1, stdout: /@txn-\d+ \/old\/7: .*/ });

    await standby.unmount();
    await primary.cliWell('pair', 'set', primary.mountpoint, '--pin-budget', '1K');
    for (let count = 0; count < 5; count++) writeFileSync(primary.path('old', `${10 + count}`), `changed ${count}`);
    rmSync(primary.path('file'));
    await until(async () => (await oneOf()).isGivenUp === true, 'its place to be given up');
    await forget();
    writeFileSync(primary.path('late'), 'late');
    await standby.mount();
    await caughtUp(primary);
    t.ok((await oneOf()).sentBytes! < fileBytes + 20_000, `it was sent ${(await oneOf()).sentBytes} bytes of ${20 * fileBytes}`);
    t.strictSame(differences(primary.mountpoint, standby.mountpoint), []);
    t.equal(readFileSync(standby.path('.snapshots', `@txn-${before}`, 'file'), 'utf8'), 'zero', 'its own past is still there');
    await verifyBoth({ primary, standby });
  });
});
