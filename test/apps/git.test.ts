/**
 * git on the mount: init, commits, branches, clone, gc and fsck give the same history as on the bare directory, and
 * `git status` finds nothing changed (which needs exact times and inode numbers).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { withMount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { runWell } from '../support/processes.js';

t.setTimeout(300_000);

const skip = await unlessInstalled('git');
const environment = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Author',
  GIT_AUTHOR_EMAIL: 'author@example.com',
  GIT_COMMITTER_NAME: 'Author',
  GIT_COMMITTER_EMAIL: 'author@example.com',
  GIT_AUTHOR_DATE: '2026-01-02T03:04:05Z',
  GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
};

function git(cwd: string, ...words: string[]): Promise<string> {
  return runWell('git', words, { cwd, environment });
}

/** A repository with history; returns the id of its last commit. */
async function makeHistory(directory: string): Promise<string> {
  mkdirSync(directory);
  await git(directory, 'init', '--quiet', '--initial-branch=main');
  for (let commit = 0; commit < 5; commit += 1) {
    for (let file = 0; file < 30; file += 1) {
      const folder = join(directory, `folder-${file % 5}`);
      mkdirSync(folder, { recursive: true });
      if ((file + commit) % 3 !== 2) writeFileSync(join(folder, `file-${file}`), `${commit} ${file}\n`.repeat(50 + file * commit));
    }
    await git(directory, 'add', '--all');
    await git(directory, 'commit', '--quiet', '--message', `commit ${commit}`);
  }
  await git(directory, 'checkout', '--quiet', '-b', 'side', 'HEAD~2');
  writeFileSync(join(directory, 'side'), 'side\n');
  await git(directory, 'add', 'side');
  await git(directory, 'commit', '--quiet', '--message', 'side');
  await git(directory, 'checkout', '--quiet', 'main');
  await git(directory, 'merge', '--quiet', '--no-edit', 'side');
  await git(directory, 'mv', 'folder-0', 'renamed');
  await git(directory, 'commit', '--quiet', '--message', 'renamed');
  return (await git(directory, 'rev-parse', 'HEAD')).trim();
}

void t.test('git: init, commit, merge, clone, gc and fsck are the same as on the bare directory', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const repository = mount.path('repository');
    const head = await makeHistory(repository);
    t.equal(head, await makeHistory(join(mount.place, 'bare')));
    t.equal(await git(repository, 'status', '--porcelain'), '');
    await git(mount.mountpoint, 'clone', '--quiet', 'repository', 'hard-linked');
    await git(mount.mountpoint, 'clone', '--quiet', '--no-local', 'repository', 'copied');
    await git(repository, 'gc', '--quiet', '--aggressive', '--prune=now');
    for (const name of ['repository', 'hard-linked', 'copied']) {
      t.equal((await git(mount.path(name), 'rev-parse', 'HEAD')).trim(), head, name);
      await git(mount.path(name), 'fsck', '--full', '--strict');
      t.equal(await git(mount.path(name), 'status', '--porcelain'), '', `${name} is clean`);
    }
    await mount.remount();
    t.equal(await git(repository, 'status', '--porcelain'), '', 'clean after a remount');
    await git(repository, 'fsck', '--full', '--strict');
  });
});

void t.test('git: a repository of the past is whole', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const repository = mount.path('repository');
    const head = await makeHistory(repository);
    await mount.cliWell('pin', mount.mountpoint, 'before');
    await git(repository, 'reset', '--quiet', '--hard', 'HEAD~3');
    await git(repository, 'reflog', 'expire', '--expire=now', '--all');
    await git(repository, 'branch', '--quiet', '-D', 'side');
    await git(repository, 'gc', '--quiet', '--prune=now');
    const past = mount.path('.snapshots', '@before', 'repository');
    const rescued = join(mount.place, 'rescued');
    await git(mount.place, '-c', 'safe.directory=*', 'clone', '--quiet', past, rescued);
    t.equal((await git(rescued, 'rev-parse', 'HEAD')).trim(), head);
    await git(rescued, 'fsck', '--full', '--strict');
  });
});
