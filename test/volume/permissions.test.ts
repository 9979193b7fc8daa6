/**
 * Who may read the past: only who might have read it then and may read it now. What was closed later stays closed, what was
 * secret then stays secret; `--snapshot-access=then` relaxes the first.
 */
import { chmodSync, mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRoot } from '../support/places.js';
import { run, runWell } from '../support/processes.js';

t.setTimeout(120_000);

const skip = isRoot ? false : 'needs root';
const user = 61001;

/** How an ordinary user fares who reads the file of then: "read", or what he is told. */
async function reads(mount: Mount, ...names: string[]): Promise<string> {
  const outcome = await run('cat', [mount.path('.snapshots', '@then', ...names)], { uid: user });
  if (outcome.status === 0) return 'read';
  return /Permission denied|No such file/.exec(outcome.stderr)?.[0] ?? outcome.stderr;
}

function test(name: string, body: (t: Test, mount: Mount) => Promise<void>, mountArguments: readonly string[] = []): void {
  void t.test(name, { skip }, async (t) => {
    await withMount(t, { arguments: mountArguments }, (mount) => body(t, mount));
  });
}

function pin(mount: Mount): Promise<string> {
  return mount.cliWell('pin', mount.mountpoint, 'then');
}

test('what is open then and now can be read', async (t, mount) => {
  writeFileSync(mount.path('file'), 'text', { mode: 0o644 });
  await pin(mount);
  writeFileSync(mount.path('file'), 'changed');
  t.equal(await reads(mount, 'file'), 'read');
});

test('what was secret then stays secret', async (t, mount) => {
  writeFileSync(mount.path('file'), 'secret', { mode: 0o600 });
  mkdirSync(mount.path('folder'), { mode: 0o700 });
  writeFileSync(mount.path('folder', 'file'), 'secret', { mode: 0o644 });
  await pin(mount);
  chmodSync(mount.path('file'), 0o644);
  chmodSync(mount.path('folder'), 0o755);
  t.equal(await reads(mount, 'file'), 'Permission denied');
  t.equal(await reads(mount, 'folder', 'file'), 'Permission denied');
});

test('what was closed later is closed in the past', async (t, mount) => {
  writeFileSync(mount.path('file'), 'open', { mode: 0o644 });
  mkdirSync(mount.path('folder', 'deep'), { recursive: true });
  writeFileSync(mount.path('folder', 'deep', 'file'), 'open', { mode: 0o644 });
  await pin(mount);
  t.equal(await reads(mount, 'folder', 'deep', 'file'), 'read');
  chmodSync(mount.path('file'), 0o600);
  chmodSync(mount.path('folder'), 0o700);
  t.equal(await reads(mount, 'file'), 'Permission denied');
  t.equal(await reads(mount, 'folder', 'deep', 'file'), 'Permission denied', 'by a parent');
  chmodSync(mount.path('folder'), 0o755);
  t.equal(await reads(mount, 'folder', 'deep', 'file'), 'read', 'opened again');
});

test('a deleted file keeps its own permissions', async (t, mount) => {
  mkdirSync(mount.path('folder'));
  writeFileSync(mount.path('folder', 'open'), 'text', { mode: 0o644 });
  writeFileSync(mount.path('folder', 'secret'), 'text', { mode: 0o600 });
  await pin(mount);
  unlinkSync(mount.path('folder', 'open'));
  unlinkSync(mount.path('folder', 'secret'));
  t.equal(await reads(mount, 'folder', 'open'), 'read');
  t.equal(await reads(mount, 'folder', 'secret'), 'Permission denied');
  chmodSync(mount.path('folder'), 0o700);
  t.equal(await reads(mount, 'folder', 'open'), 'Permission denied', 'its directory was closed');
  rmSync(mount.path('folder'), { recursive: true });
});

test('ACLs of then and of now both count', async (t, mount) => {
  for (const name of ['granted', 'revoked', 'later']) writeFileSync(mount.path(name), 'text', { mode: 0o600 });
  await runWell('setfacl', ['-m', `u:${user}:r`, mount.path('granted'), mount.path('revoked')]);
  await pin(mount);
  await runWell('setfacl', ['-x', `u:${user}`, mount.path('revoked')]);
  await runWell('setfacl', ['-m', `u:${user}:r`, mount.path('later')]);
  t.equal(await reads(mount, 'granted'), 'read');
  t.equal(await reads(mount, 'revoked'), 'Permission denied');
  t.equal(await reads(mount, 'later'), 'Permission denied');
});

test('--snapshot-access=then asks about then only', async (t, mount) => {
  writeFileSync(mount.path('open'), 'text', { mode: 0o644 });
  writeFileSync(mount.path('secret'), 'text', { mode: 0o600 });
  await pin(mount);
  chmodSync(mount.path('open'), 0o600);
  chmodSync(mount.path('secret'), 0o644);
  t.equal(await reads(mount, 'open'), 'read');
  t.equal(await reads(mount, 'secret'), 'Permission denied');
}, ['--snapshot-access=then']);
