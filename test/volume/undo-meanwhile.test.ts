/**
 * What others do while an undo goes on: it stays, and leads the undo nowhere. The steps of a plan are carried out on a real mount after things have changed.
 */
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRoot } from '../support/places.js';
import { runWell } from '../support/processes.js';
import { fromText } from '../../tools/byte-path.js';
import type { UndoStepItem } from '../../tools/recovery-protocol.js';
import type { CopyHooks } from '../../tools/restore/copy-data.js';
import { actUndo } from '../../tools/undo/act.js';

t.setTimeout(60_000);
const skip = isRoot ? false : 'needs root';
const idle: CopyHooks = { onBytes: () => undefined, checkpoint: () => undefined };

/** The last transaction, after all that has happened. */
async function now(mount: Mount): Promise<string> {
  const [last] = await mount.json('log', mount.mountpoint, '--limit', '1');
  return String(last?.['txid']);
}

/** What became of steps of an undo that began at a transaction. */
async function act(mount: Mount, begin: string, steps: readonly UndoStepItem[], hooks = idle): Promise<string[]> {
  const { failures } = await actUndo(steps, { root: fromText(mount.mountpoint), begin }, hooks);
  return failures.map(({ reason }) => reason);
}

function inodeOf(path: string): string {
  return String(lstatSync(path, { bigint: true }).ino);
}

void t.test('what is written meanwhile stays, bytes, sizes, modes, owners and attributes', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const path = mount.path('f');
    const set = async (text: string, mode: number, owner: number): Promise<string> => {
      writeFileSync(path, text.repeat(5000), { flag: existsSync(path) ? 'r+' : 'w' });
      chmodSync(path, mode);
      await runWell('chown', [String(owner), path]);
      await runWell('setfattr', ['-n', 'user.k', '-v', text, path]);
      return now(mount);
    };
    const then = await set('then', 0o600, 1);
    const begin = await set('evil', 0o640, 2);
    const common = { path: '/f', inode: inodeOf(path), at: { txid: then, timeNs: '1' }, source: '/f', present: '/f' };
    const steps: UndoStepItem[] = [
      { ...common, kind: 'bytes', start: 0, end: 20_000 }, { ...common, kind: 'uid', value: '1' }, { ...common, kind: 'xattr', name: 'user.k' }, { ...common, kind: 'mode', value: String(0o600) },
    ];
    await set('mine', 0o644, 3);
    t.strictSame(await act(mount, begin, steps), [
      'bytes 0–19999 of /f changed meanwhile and stays as it is', 'the owner of /f changed meanwhile and stays as it is', 'an attribute of /f changed meanwhile and stays as it is', 'the mode of /f changed meanwhile and stays as it is',
    ]);
    t.equal(readFileSync(path, 'utf8').slice(0, 4), 'mine');
    t.strictSame([statSync(path).uid, statSync(path).mode & 0o777], [3, 0o644]);
    const again = await set('evil', 0o640, 2);
    t.strictSame(await act(mount, again, steps), [], 'as planned');
    t.strictSame([readFileSync(path, 'utf8').slice(0, 4), statSync(path).uid, statSync(path).mode & 0o777], ['then', 1, 0o600]);
    const longer = await now(mount);
    truncateSync(path, 30_000);
    t.strictSame(await act(mount, longer, [{ ...common, kind: 'size', size: 10 }]), ['the size of /f changed meanwhile and stays as it is']);
  });
});

void t.test('a symlink in the place of a directory leads nowhere, and a name that was taken stays', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const [outside, directory] = [`${mount.place}/outside`, mount.path('d')];
    mkdirSync(outside);
    mkdirSync(directory);
    writeFileSync(mount.path('d', 'gone'), 'x'.repeat(3 << 20));
    writeFileSync(mount.path('d', 'kept'), 'kept');
    const then = await now(mount);
    const gone: UndoStepItem = { kind: 'recreate', path: '/d/gone', inode: inodeOf(mount.path('d', 'gone')), at: { txid: then, timeNs: '1' }, source: '/d/gone', replaces: '0' };
    const kept = { path: '/d/kept', inode: inodeOf(mount.path('d', 'kept')), at: { txid: then, timeNs: '1' }, source: '/d/kept' };
    unlinkSync(mount.path('d', 'gone'));
    const begin = await now(mount);
    renameSync(directory, mount.path('away'));
    symlinkSync(outside, directory);
    const moved = { ...kept, kind: 'rename', to: '/d/elsewhere', path: '/away/kept' };
    for (const step of [gone, moved]) t.match((await act(mount, begin, [step]))[0], /^\/(d\/gone|away\/kept): E(NOTDIR|LOOP)[^/]*$/);
    // The same file by the other way, too.
    rmSync(directory);
    symlinkSync(mount.path('away'), directory);
    for (const kind of ['remove', 'mode']) t.match((await act(mount, begin, [{ ...kept, kind, value: '0' }]))[0], /^\/d\/kept: E(NOTDIR|LOOP)/, kind);
    t.strictSame(readdirSync(outside), []);
    rmSync(directory);
    renameSync(mount.path('away'), directory);
    const taken = await act(mount, begin, [gone], { ...idle, onBytes: () => { writeFileSync(mount.path('d', 'gone'), 'somebody else'); } });
    t.strictSame(taken, ['/d/gone: the name has been taken meanwhile, and what has it stays']);
    t.equal(readFileSync(mount.path('d', 'gone'), 'utf8'), 'somebody else');
    t.strictSame(readdirSync(directory).sort(), ['gone', 'kept'], 'nothing half-made stays behind');
  });
});
