/**
 * Moments as users write them: each form finds its snapshot, in commands and below `.snapshots` alike, and what cannot be
 * read, lies ahead or lies before all history is refused.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { withMount } from '../support/mount.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(120_000);

/** As it stands in `.snapshots`: UTC, dashes instead of colons. */
function name(date: Date, digits: 0 | 3): string {
  const text = date.toISOString().replaceAll(':', '-');
  return digits === 3 ? text : `${text.slice(0, 19)}Z`;
}

void t.test('every way of writing a moment finds the same state', async (t) => {
  await withMount(t, { prepare: (directory) => writeFileSync(`${directory}/file`, 'before all\n') }, async (mount) => {
    const path = mount.path('file');
    writeFileSync(path, 'one\n');
    await sleep(1100); // The next second begins: a whole-second name means its end.
    const early = new Date(Date.now() - 1000);
    const exact = new Date();
    const [last] = await mount.json('log', path, '--limit', '1');
    await mount.cliWell('pin', mount.mountpoint, 'named');
    await sleep(1100);
    writeFileSync(path, 'two\n');
    await sleep(1100);
    const local = new Date(exact.getTime() - exact.getTimezoneOffset() * 60_000).toISOString().slice(0, 23);
    const forms = [
      `txn-${String(last?.['txid'])}`,
      'named',
      String(last?.['time']),
      name(exact, 3),
      name(early, 0),
      exact.toISOString(),
      exact.toISOString().replace('Z', '456789Z'),
      local,
      `GMT-${exact.toISOString().slice(0, 19).replaceAll('-', '.').replace('T', '-').replaceAll(':', '.')}`,
    ];
    for (const form of forms) {
      t.equal(await mount.cliWell('cat', path, '--at', form), 'one\n', `cat --at ${form}`);
      t.equal(readFileSync(mount.path('.snapshots', `@${form}`, 'file'), 'utf8'), 'one\n', `@${form}`);
    }
    t.equal(readFileSync(mount.path('.snapshots', '@0s', 'file'), 'utf8'), 'two\n', '@0s is now');
  });
});

void t.test('moments that cannot be are refused', async (t) => {
  await withMount(t, {}, async (mount) => {
    const path = mount.path('file');
    writeFileSync(path, 'text\n');
    const wrong = new Map([
      ['2999-01-01T00-00-00Z', /future|ahead/],
      ['1999-01-01T00-00-00Z', /before|oldest/],
      ['txn-999999', /txn-999999|transaction/],
      ['no-such-pin', /no-such-pin/],
      ['2026-13-45T00-00-00Z', /2026-13-45/],
      ['5parsecs', /5parsecs/],
    ]);
    for (const [text, says] of wrong) {
      isRefusal(t, await mount.cli('cat', path, '--at', text), says);
      t.notOk(existsSync(mount.path('.snapshots', `@${text}`)), `@${text} does not resolve`);
    }
    isRefusal(t, await mount.cli('cat', `${mount.place}/elsewhere`, '--at', '0s'), /no mounted volume/);
    isRefusal(t, await mount.cli('cat', mount.path('absent'), '--at', '0s'), /absent/);
    isRefusal(t, await mount.cli('log', mount.path('never')), /never/);
  });
});

void t.test('listed names resolve, in order, and in each directory only when something in it changed', async (t) => {
  await withMount(t, {}, async (mount) => {
    mkdirSync(mount.path('folder'));
    for (let version = 0; version < 5; version += 1) {
      writeFileSync(mount.path(`file-${version}`), `${version}\n`);
      writeFileSync(mount.path('folder', 'file'), `${version}\n`);
      // Lists are remembered for a while, and made again when there is more to tell.
      const newest = readdirSync(mount.path('folder', '.snapshots')).sort().at(-1) ?? '';
      t.equal(readFileSync(mount.path('folder', '.snapshots', newest, 'file'), 'utf8'), `${version}\n`, `the newest of a list shows version ${version}`);
      await sleep(300);
    }
    const names = readdirSync(mount.path('.snapshots'));
    t.ok(names.length >= 1 && names.length <= 500, `${names.length} names`);
    for (const each of names) {
      // Only a second that has not ended yet needs more digits: its name would mean its end.
      t.match(each, /^@\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d{9})?Z$/);
      t.ok(existsSync(mount.path('.snapshots', each)), each);
    }
    t.equal(readdirSync(mount.mountpoint).includes('.snapshots'), false, 'not listed in the root');
    await mount.cliWell('pin', mount.mountpoint, 'keep');
    t.ok(readdirSync(mount.path('.snapshots')).includes('@keep'), 'a pin is listed');
    await mount.cliWell('unpin', mount.mountpoint, 'keep');
    t.notOk(readdirSync(mount.path('.snapshots')).includes('@keep'), 'and gone when it is removed');
  });
});
