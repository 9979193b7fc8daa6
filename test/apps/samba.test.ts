/**
 * Previous versions, as Windows sees them: Debian's smbd shares a volume with the section that `tidemark samba` prints, and smbclient asks what Explorer
 * asks.
 */
import { appendFileSync, chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { withDirectory, withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { spreadOver } from '../support/older-history.js';
import { isRoot } from '../support/places.js';
import { SambaServer, refusalIn } from '../support/samba-server.js';

t.setTimeout(180_000);
// Mostly waiting, for seconds to pass and for programs to start.
t.jobs = 3;

// Debian has them everywhere; neither is in a group of the other.
const [anna, bert] = ['games', 'backup'] as const;
const ids = { [anna]: 5, [bert]: 34 } as const;
const skip = isRoot ? await unlessInstalled('smbd', 'smbclient', 'smbpasswd', 'testparm') : 'needs root';

/** Shares `directory` as "data" by the section that is printed for it. */
async function share(mount: Mount, directory = mount.mountpoint): Promise<SambaServer> {
  const section = await mount.cliWell('samba', directory, '--name', 'data');
  const server = await SambaServer.start(join(mount.place, 'samba'), section, [anna, bert]);
  t.equal(await mount.cliWell('doctor', 'samba', '--config', server.config), `[data] ${directory} ${directory === mount.mountpoint ? 'is a volume' : `lies in the volume ${mount.mountpoint}`}\n`);
  return server;
}

/** Ends the present second; gives the version that shows what was done up to now, and nothing that follows. */
async function nextSecond(mount: Mount): Promise<string> {
  // Whoever lists moments ends the open transaction.
  readdirSync(mount.path('.snapshots'));
  const version = versionOf(`@${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}Z`);
  await sleep(1020 - (Date.now() % 1000));
  return version;
}

/** What Windows calls a moment. */
function versionOf(name: string): string {
  return `@GMT-${name.slice(1, 11).replaceAll('-', '.')}-${name.slice(12, 20).replaceAll('-', '.')}`;
}

/** Whole seconds listed in a directory, as Windows names them, newest first. */
function listed(mount: Mount, ...names: string[]): string[] {
  const moments = readdirSync(mount.path(...names, '.snapshots')).filter((name) => /^@[-T\d]{19}Z$/.test(name));
  return moments.sort().reverse().map(versionOf);
}

/** Gives the version that shows all files, before any was changed. */
async function writeHistory(mount: Mount): Promise<string> {
  for (const directory of ['', 'Büro Akten', 'letters', 'gone', 'other']) {
    mkdirSync(mount.path(directory), { recursive: true });
    chmodSync(mount.path(directory), 0o777);
  }
  await nextSecond(mount);
  writeFileSync(mount.path('Büro Akten', 'Übersicht neu.txt'), 'alt\n');
  writeFileSync(mount.path('letters', 'deleted.txt'), 'was here\n');
  writeFileSync(mount.path('letters', 'letter.txt'), 'first\n');
  writeFileSync(mount.path('gone', 'inside.txt'), 'deep\n');
  for (const file of ['Büro Akten/Übersicht neu.txt', 'letters/letter.txt', 'letters/deleted.txt']) chownSync(mount.path(file), ids[anna], ids[anna]);
  const old = await nextSecond(mount);
  writeFileSync(mount.path('Büro Akten', 'Übersicht neu.txt'), 'neu\n');
  rmSync(mount.path('gone'), { recursive: true });
  await nextSecond(mount);
  writeFileSync(mount.path('letters', 'letter.txt'), 'second\n');
  unlinkSync(mount.path('letters', 'deleted.txt'));
  renameSync(mount.path('letters'), mount.path('post'));
  await nextSecond(mount);
  writeFileSync(mount.path('other', 'file'), 'x\n');
  await nextSecond(mount);
  return old;
}

void t.test('previous versions through the printed section', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const old = await writeHistory(mount);
    const server = await share(mount);
    try {
      await listsTimesOfTheDirectory(t, mount, server);
      await bringsOldBytes(t, server, old);
      await refusesChanges(t, mount, server, old);
    } finally {
      await server.stop();
    }
  });
});

async function listsTimesOfTheDirectory(t: Test, mount: Mount, server: SambaServer): Promise<void> {
  const office = await server.versions(anna, 'data', 'Büro Akten\\Übersicht neu.txt');
  const post = await server.versions(anna, 'data', 'post\\letter.txt');
  t.strictSame(office, listed(mount, 'Büro Akten'), 'of a file: those of its directory, newest first');
  t.strictSame(post, listed(mount, 'post'));
  t.strictSame(await server.versions(anna, 'data', 'post'), post, 'a directory has its own');
  const all = listed(mount);
  t.strictSame([...office, ...post].filter((version) => !all.includes(version)), []);
  const changes = all.filter((version) => office.includes(version) !== post.includes(version));
  t.ok(changes.length >= 2, `each lists times that the other does not: ${office.join(' ')} | ${post.join(' ')}`);
  t.notOk(office.includes(listed(mount, 'other')[0] ?? ''), 'what happens elsewhere is no version');
}

async function bringsOldBytes(t: Test, server: SambaServer, old: string): Promise<void> {
  t.equal(await server.text(anna, 'data', `${old}\\Büro Akten\\Übersicht neu.txt`), 'alt\n', 'umlauts and blanks');
  t.equal(await server.text(anna, 'data', 'Büro Akten\\Übersicht neu.txt'), 'neu\n');
  t.equal(await server.text(anna, 'data', `${old}\\post\\letter.txt`), 'first\n', 'in a directory that had another name');
  t.equal(await server.text(anna, 'data', `${old}\\post\\deleted.txt`), 'was here\n', 'a deleted file');
  t.strictSame(await server.names(anna, 'data', old), ['Büro Akten', 'gone', 'letters', 'other']);
  t.strictSame(await server.names(anna, 'data', `${old}\\gone`), ['inside.txt'], 'a directory that is gone');
  t.strictSame(await server.names(anna, 'data', `${old}\\post`), ['deleted.txt', 'letter.txt']);
  // Samba 4.17 looks for the directory of a file in the present; by its path the past is open to all versions.
  const path = `.snapshots\\${old.replace(/@GMT-(\d+)\.(\d+)\.(\d+)-(\d+)\.(\d+)\.(\d+)/, '@$1-$2-$3T$4-$5-$6Z')}\\gone`;
  t.equal(await server.text(anna, 'data', `${path}\\inside.txt`), 'deep\n', 'a file in a directory that is gone, by its path');
  t.equal(await server.text(anna, 'data', '@GMT-2001.01.01-00.00.00\\post\\letter.txt'), 'NT_STATUS_OBJECT_NAME_NOT_FOUND', 'before all history');
}

async function refusesChanges(t: Test, mount: Mount, server: SambaServer, version: string): Promise<void> {
  writeFileSync(join(mount.place, 'samba', 'new'), 'changed\n');
  const file = `${version}\\post\\letter.txt`;
  for (const command of [`put new ${file}`, `put new ${version}\\post\\new`, `del ${file}`, `mkdir ${version}\\post\\new`, `rmdir ${version}\\other`, `rename ${file} post\\moved`, `setmode ${file} +h`]) {
    const { stdout, stderr } = await server.ask(anna, 'data', command);
    t.match(refusalIn(stdout + stderr), /^NT_STATUS_(MEDIA_WRITE_PROTECTED|ACCESS_DENIED|NOT_SAME_DEVICE|OBJECT_NAME_NOT_FOUND)$/, command);
  }
  t.equal(await server.text(anna, 'data', file), 'first\n', 'it reads as before');
  t.equal(readFileSync(mount.path('post', 'letter.txt'), 'utf8'), 'second\n');
  t.notOk(existsSync(mount.path('post', 'moved')));
  t.strictSame(await server.names(anna, 'data', `${version}\\post`), ['deleted.txt', 'letter.txt']);
}

void t.test('everybody sees what he may see, then and now', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    chmodSync(mount.mountpoint, 0o755);
    mkdirSync(mount.path('shared'));
    mkdirSync(mount.path('closed'));
    const files = { open: 0o644, 'closed later': 0o644, 'opened later': 0o600, 'of anna': 0o600 } as const;
    for (const [name, mode] of Object.entries(files)) {
      writeFileSync(mount.path('shared', name), `${name} then\n`, { mode });
      chownSync(mount.path('shared', name), ids[anna], ids[anna]);
    }
    writeFileSync(mount.path('closed', 'file'), 'then\n', { mode: 0o644 });
    const version = await nextSecond(mount);
    for (const name of Object.keys(files)) writeFileSync(mount.path('shared', name), `${name} now\n`);
    chmodSync(mount.path('shared', 'closed later'), 0o600);
    chmodSync(mount.path('shared', 'opened later'), 0o644);
    chmodSync(mount.path('closed'), 0o700);
    await nextSecond(mount);
    // A share that begins below the root of the volume.
    const server = await share(mount, mount.path('shared'));
    try {
      for (const name of Object.keys(files)) t.equal(await server.text(anna, 'data', `${version}\\${name}`), `${name} then\n`, `its owner reads "${name}"`);
      t.equal(await server.text(bert, 'data', `${version}\\open`), 'open then\n');
      for (const name of ['closed later', 'opened later', 'of anna']) t.equal(await server.text(bert, 'data', `${version}\\${name}`), 'NT_STATUS_ACCESS_DENIED', `others do not read "${name}"`);
      t.equal(await server.text(bert, 'data', 'opened later'), 'opened later now\n', 'what is open now can be read as it is now');
      t.equal(await server.text(bert, 'data', 'closed later'), 'NT_STATUS_ACCESS_DENIED');
      t.match(await server.text(anna, 'data', `${version}\\..\\closed\\file`), /^NT_STATUS_/, 'nobody leaves the share by the past');
    } finally {
      await server.stop();
    }
  });
});

void t.test('a long history: never more than 500 versions, and each can be opened', { skip }, async (t) => {
  await withDirectory(t, {}, async (mount) => {
    await mount.mount();
    mkdirSync(mount.path('busy'));
    for (let version = 0; version < 1500; version++) appendFileSync(mount.path('busy', `file-${version % 7}`), '.');
    await mount.unmount();
    spreadOver(mount.directory, 20 * 3600_000);
    await mount.mount();
    const server = await share(mount);
    try {
      const versions = await server.versions(anna, 'data', 'busy\\file-0');
      t.ok(versions.length > 100 && versions.length <= 500, `${versions.length} versions`);
      t.strictSame(versions, [...versions].sort().reverse(), 'newest first');
      const lengths: number[] = [];
      for (const version of versions.slice(0, -10).filter((_, index) => index % 50 === 0)) lengths.push((await server.text(anna, 'data', `${version}\\busy\\file-0`)).length);
      t.strictSame(lengths, [...new Set(lengths)].sort((one, other) => other - one), 'each older than the one before it');
    } finally {
      await server.stop();
    }
  });
});
