/** On a protection server each user restores what he may read, and nothing else, whoever he says he is. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { readableBy } from '../../replica/readable-by.js';
import type { Entry } from '../../replica/entry.js';
import { withMount } from '../support/mount.js';
import { isRoot, repositoryRoot } from '../support/places.js';
import { run } from '../support/processes.js';
import type { Outcome } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(120_000);

await t.test('who may read what, by modes and owners', async (t) => {
  const entry = (path: string, type: Entry['type'], mode: number, uid = 1, gid = 10): { entry: Entry } => ({ entry: { path, type, size: 0, mtimeNs: 0n, mode, uid, gid } });
  const entries = [
    entry('closed', 'directory', 0o700), entry('closed/open', 'file', 0o644), entry('drop', 'directory', 0o711), entry('drop/known', 'file', 0o644), entry('ours', 'directory', 0o750), entry('ours/file', 'file', 0o640),
    entry('ours/mine', 'file', 0o600), entry('public', 'file', 0o644), entry('strange', 'file', 0o044),
  ];
  const shown = (uid: number, gid: number, groups: number[]): string => readableBy(entries, { uid, gid, groups }).map(({ entry: { path } }) => path).join(' ');
  t.equal(shown(0, 0, []), entries.map(({ entry: { path } }) => path).join(' '));
  t.equal(shown(1, 10, []), 'closed closed/open drop drop/known ours ours/file ours/mine public', 'the owner\'s bits are for the owner, also where others have more');
  t.equal(shown(2, 20, [10]), 'closed drop ours ours/file public strange');
  t.equal(shown(2, 20, []), 'closed drop ours public strange');
});

await t.test('a user restores his own files through root\'s daemon', { skip: isRoot ? false : 'needs root and another user' }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const [dest, home] = ['dest', 'home'].map((name) => join(mount.place, name)) as [string, string];
    for (const path of [dest, home]) mkdirSync(path);
    chmodSync(dest, 0o700);
    chownSync(home, 1234, 1234);
    for (const [name, uid, mode] of [['mine', 1234, 0o600], ['theirs', 1235, 0o600], ['public', 0, 0o644]] as const) {
      writeFileSync(mount.path(name), `${name}\n`);
      chownSync(mount.path(name), uid, uid);
      chmodSync(mount.path(name), mode);
    }
    await mount.cliWell('backup', 'add', mount.directory, dest, '--name', 'd');
    await mount.cliWell('backup', 'run', 'd');
    // His runtime directory is his own; root's registry he may read.
    const asUser = (...words: string[]): Promise<Outcome> => run(process.execPath, [join(repositoryRoot, 'dist/tools/main.js'), ...words], { uid: 1234, cwd: home, environment: { TIDEMARK_RUNTIME_DIR: mount.runtime } });
    const restored = await asUser('backup', 'restore', 'd', '--to', join(home, 'back'));
    t.equal(restored.status, 0, restored.stderr);
    t.strictSame(readdirSync(join(home, 'back')).sort(), ['mine', 'public']);
    t.equal(readFileSync(join(home, 'back/mine'), 'utf8'), 'mine\n');
    t.equal(statSync(join(home, 'back/mine')).uid, 1234);
    t.notMatch((await asUser('backup', 'restore', 'd', '--list')).stdout, /theirs/);
    isRefusal(t, await asUser('backup', 'restore', 'd', 'theirs', '--to', join(home, 'other')), /is not in the backup/);
    isRefusal(t, await asUser('backup', 'restore', 'e', '--to', join(home, 'other')), /no mounted volume has a backup "e"/);
    isRefusal(t, await asUser('backup', 'restore', dest, '--to', join(home, 'other')), /no permission|may not|not there/);
    t.notOk(existsSync(join(home, 'other/theirs')));
    // Asking for what was not told of, and noise.
    const users = readdirSync(mount.runtime).find((name) => name.endsWith('.users'))!;
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(join(mount.runtime, users));
      let said = '';
      socket.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.split('\n').length > 2) socket.destroy();
      }).on('close', () => { resolve(said); });
      socket.write('{"what":"copy","path":"theirs"}\nnoise\n');
    });
    t.match(answer, /no such file for you/);
    t.notMatch(answer, /theirs\n/);
  });
});
