/**
 * Rules for some files, on a real mount: what they give up, what pins keep against them, what an index made again shows, what comes back to the disk. And which moments are
 * quiescent.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { Volume } from '../../engine/volume.js';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(180_000);
// They mostly wait.
t.jobs = 4;

const mebibyte = 1 << 20;
const rules = ['--keep', '/db=1s', '--keep', '*.log=2 versions', '--keep', '*.tmp=none', '--at-least', '1s'] as const;

/** What the files of the first test held, by a moment. */
type Rounds = ReadonlyMap<string, string>;

void t.test('what rules give up is not there, and the rest reads as it was', async (t) => {
  await withMount(t, { apart: true }, async (mount) => {
    const rounds = await writeRounds(mount);
    const [pinned = ''] = rounds.keys();
    await mount.cliWell('pin', mount.mountpoint, 'early', '--at', pinned);
    t.match(await mount.cliWell('policy', mount.mountpoint, ...rules), /\*\.tmp is still captured: from the next mount on/);
    await sleep(1200);
    const said = await mount.cliWell('prune', mount.mountpoint, '--dry-run');
    for (const line of [/of 1 file \(\/db=1s\) only what is younger than \d{4}-.* stays/, /of \d files \(\*\.log=2 versions\) only the newest 2 versions stay/, /of \d files \(\*\.tmp=none\) no history stays/]) t.match(said, line);
    // Without a look before: what somebody has looked at stays for a while.
    await mount.cliWell('prune', mount.mountpoint);
    checkRounds(t, mount, rounds, pinned);

    const compared = await mount.json('diff', mount.mountpoint, '--from', [...rounds.keys()][2]!, '--to', [...rounds.keys()][4]!);
    t.strictSame(compared.filter(({ path }) => path === '/db/table').map(({ kind }) => kind), ['added'], 'by what is shown, it came');

    // What is not shown was not absent: putting the tree back takes nothing away that is kept shorter.
    const [, old = ''] = rounds.keys();
    await mount.cliWell('restore', mount.mountpoint, '--at', old);
    t.strictSame(readdirSync(mount.path('db')), ['table'], 'the live file has stayed');
    t.equal(readFileSync(mount.path('saved.log'), 'utf8'), 'round 4', 'also where another file stood then');
    t.equal(readFileSync(mount.path('other'), 'utf8'), 'round 1');
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);

    await mount.unmount();
    await mount.cliWell('verify', '--rebuild-index', mount.directory);
    await mount.mount();
    await mount.cliWell('unpin', mount.mountpoint, 'early');
    await mount.cliWell('prune', mount.mountpoint);
    checkRounds(t, mount, rounds, '');
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
  });
});

void t.test('files without history, and what they have when it comes back', async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('a.tmp'), 'one');
    const first = await momentNow();
    await mount.cliWell('policy', mount.mountpoint, '--keep', '*.tmp=none');
    await mount.remount();
    t.throws(() => readFileSync(mount.path('.snapshots', `@${first}`, 'a.tmp')), { code: 'ENOENT' }, 'it is in no snapshot');
    writeFileSync(mount.path('a.tmp'), 'two');
    const [before] = await mount.json('policy', mount.mountpoint, '--unkeep', '*.tmp');
    t.strictSame(before?.['keep'], []);
    await mount.remount();
    t.throws(() => readFileSync(mount.path('.snapshots', `@${first}`, 'a.tmp')), { code: 'ENOENT' }, 'nobody knows any more what it was then');
    writeFileSync(mount.path('b'), 'b');
    const second = await momentNow();
    writeFileSync(mount.path('a.tmp'), 'three');
    t.equal(readFileSync(mount.path('.snapshots', `@${second}`, 'a.tmp'), 'utf8'), 'two', 'from then on it is known');
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
  });
});

void t.test('the space of what rules give up comes back', async (t) => {
  await withMount(t, { apart: true }, async (mount) => {
    for (let version = 0; version < 7; version++) overwrite(mount.path('spool'), 24 * mebibyte);
    overwrite(mount.path('old.iso'), 20 * mebibyte);
    rmSync(mount.path('old.iso'));
    // The two newest segments are not packed.
    for (let version = 0; version < 3; version++) overwrite(mount.path('filler'), 70 * mebibyte);
    await sleep(1100);
    await mount.cliWell('policy', mount.mountpoint, '--keep', '/spool=1 version', '--keep', '*.iso=1s', '--at-least', '1s');
    const [preview] = await mount.json('prune', mount.mountpoint, '--dry-run');
    const before = bytesBelow(join(mount.directory, '.tidemark'));
    await mount.cliWell('prune', mount.mountpoint);
    const freed = before - bytesBelow(join(mount.directory, '.tidemark'));
    const dead = Number(preview?.['bytes']) + 20 * mebibyte;
    t.ok(dead > 120 * mebibyte, `${dead} bytes are dead`);
    t.ok(freed > 0.95 * dead, `${freed} of ${dead} bytes came back`);
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
  });
});

void t.test('a moment is quiescent when nothing else was open for writing', async (t) => {
  await withMount(t, {}, async (mount) => {
    const ended: [boolean, string][] = [];
    const note = async (isQuiet: boolean): Promise<void> => { ended.push([isQuiet, await momentNow()]); };
    writeFileSync(mount.path('a'), 'a');
    await note(true);
    const other = openSync(mount.path('other'), 'w');
    writeFileSync(mount.path('a'), 'again');
    await note(false);
    writeSync(other, 'other');
    fsyncSync(other);
    await note(true);
    writeFileSync(mount.path('a'), 'and again', { flush: true });
    await note(false);
    closeSync(other);
    await mount.unmount();
    const volume = await Volume.open(mount.directory);
    try {
      for (const [isQuiet, moment] of ended) t.equal(volume.transaction(volume.parseMoment(moment))?.quiescent, isQuiet, moment);
    } finally {
      await volume.close();
    }
  });
});

void t.test('rules that make no sense change nothing', async (t) => {
  await withMount(t, {}, async (mount) => {
    mkdirSync(mount.path('db'));
    writeFileSync(mount.path('db', 'gone.log'), 'x');
    rmSync(mount.path('db', 'gone.log'));
    const before = await mount.cliWell('policy', mount.mountpoint);
    const wrongs: readonly (readonly [readonly string[], RegExp, 1 | 2])[] = [
      [['--keep', '/db=3d', '--keep', '/db/=none'], /speak of the same files/, 1], [['--keep', '/nowhere=3d'], /matches no file, neither now nor in the past/, 1],
      [['--unkeep', '*.log'], /no rule for \*\.log/, 1], [['--for-later'], /goes with --keep/, 2],
    ];
    for (const [wrong, says, status] of wrongs) isRefusal(t, await mount.cli('policy', mount.mountpoint, ...wrong), says, status);
    t.equal(await mount.cliWell('policy', mount.mountpoint), before);
    await mount.cliWell('policy', mount.mountpoint, '--keep', '/nowhere=3d', '--for-later');
    await mount.cliWell('policy', mount.mountpoint, '--keep', 'gone.*=3d', '--keep', 'nowhere/=2d', '--for-later');
    const [now] = await mount.json('policy', mount.mountpoint);
    t.strictSame(now?.['keep'], ['/nowhere=3d', 'gone.*=3d', 'nowhere=2d']);
  });
});

/** Five rounds: a table written in place, a log in place, a log saved by renaming, a file without a rule, and one that comes and goes. */
async function writeRounds(mount: Mount): Promise<Rounds> {
  const rounds = new Map<string, string>();
  mkdirSync(mount.path('db'));
  for (let round = 0; round < 5; round++) {
    const text = `round ${round}`;
    for (const path of [['db', 'table'], ['in-place.log'], ['other']]) writeOver(mount.path(...path), text);
    writeFileSync(mount.path('new'), text);
    renameSync(mount.path('new'), mount.path('saved.log'));
    writeFileSync(mount.path(`${round}.tmp`), text);
    rounds.set(await momentNow(), text);
    rmSync(mount.path(`${round}.tmp`));
  }
  return rounds;
}

function checkRounds(t: Test, mount: Mount, rounds: Rounds, pinned: string): void {
  for (const [index, [moment, round]] of [...rounds].entries()) {
    const isLast = index === rounds.size - 1;
    const isNew = index >= rounds.size - 3;
    const isPinned = moment === pinned;
    const shown = shownAt(mount, moment);
    t.equal(shown.other, round, `${round}: no rule speaks of it`);
    t.equal(shown.table, isLast || isPinned ? round : undefined, `${round}: by age`);
    t.equal(shown.log, isNew || isPinned ? round : undefined, `${round}: by versions`);
    t.equal(shown.saved, isNew || isPinned ? round : undefined, `${round}: by versions, also of files that were replaced`);
    t.equal(readdirSync(mount.path('.snapshots', `@${moment}`)).some((name) => name.endsWith('.tmp')), isPinned && !isRemounted(mount), `${round}: without history`);
  }
}

/** From then on files without history are in no snapshot at all. */
function isRemounted(mount: Mount): boolean {
  const kept = join(mount.directory, '.tidemark', 'mount.json');
  return existsSync(kept) && readFileSync(kept, 'utf8').includes('*.tmp');
}

function shownAt(mount: Mount, moment: string): Record<'table' | 'log' | 'saved' | 'other', string | undefined> {
  const read = (...names: string[]): string | undefined => {
    const path = mount.path('.snapshots', `@${moment}`, ...names);
    return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : readFileSync(path, 'utf8');
  };
  return { table: read('db', 'table'), log: read('in-place.log'), saved: read('saved.log'), other: read('other') };
}

/** Without a truncation before, which would be a version of its own. */
function writeOver(path: string, text: string): void {
  const file = openSync(path, 'a+');
  closeSync(file);
  const over = openSync(path, 'r+');
  writeSync(over, text, 0);
  closeSync(over);
}

function overwrite(path: string, length: number): void {
  closeSync(openSync(path, 'a'));
  truncateSync(path, length);
  const file = openSync(path, 'r+');
  for (let offset = 0; offset < length; offset += mebibyte) writeSync(file, randomBytes(mebibyte), 0, mebibyte, offset);
  fsyncSync(file);
  closeSync(file);
}

/** What has been closed by now has ended by then, and nothing else happens. */
async function momentNow(): Promise<string> {
  await sleep(50);
  const moment = new Date().toISOString().replaceAll(':', '-');
  await sleep(2);
  return moment;
}

function bytesBelow(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).blocks * 512, 0);
}
