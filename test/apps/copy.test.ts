/**
 * tar, rsync and cp carry a tree with everything ext4 has onto the mount, off it and out of a snapshot, and nothing is lost:
 * hard links, holes, owners, modes, times, symlinks, extended attributes, ACLs.
 */
import { linkSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeDescriber } from '../support/describe.js';
import { withMount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { runWell } from '../support/processes.js';

t.setTimeout(300_000);

async function makeTree(directory: string): Promise<void> {
  mkdirSync(join(directory, 'folder', 'deep'), { recursive: true });
  for (let file = 0; file < 40; file += 1) writeFileSync(join(directory, 'folder', `file ${file}`), `${file}\n`.repeat(file * file));
  writeFileSync(join(directory, 'program'), '#!/bin/sh\n', { mode: 0o750 });
  linkSync(join(directory, 'program'), join(directory, 'folder', 'linked'));
  symlinkSync('../program', join(directory, 'folder', 'symlink'));
  symlinkSync('nowhere', join(directory, 'dangling'));
  writeFileSync(join(directory, 'sparse'), 'start');
  truncateSync(join(directory, 'sparse'), 10_000_000);
  utimesSync(join(directory, 'folder', 'file 3'), 1_000_000_000.123456, 1_100_000_000.654321);
  await runWell('setfattr', ['-n', 'user.note', '-v', 'a note', join(directory, 'program')]);
  await runWell('setfacl', ['-m', 'u:61001:rw', join(directory, 'folder', 'file 5')]);
  await runWell('setfacl', ['-d', '-m', 'u:61001:rwx', join(directory, 'folder', 'deep')]);
  if (isRoot) await runWell('chown', ['61001:61002', join(directory, 'folder', 'file 7')]);
  await runWell('chmod', ['2775', join(directory, 'folder')]);
  // rsync sets a time only when it differs in its seconds: nothing here may be as young as a copy of it.
  await runWell('find', [directory, '-newermt', '2020-01-01', '-exec', 'touch', '-h', '-d', '2019-08-07T06:05:04.123456789', '{}', '+']);
}

const ways: readonly { readonly name: string; readonly needs: readonly string[]; readonly copy: (from: string, to: string) => Promise<unknown> }[] = [
  { name: 'cp -a', needs: ['cp'], copy: (from, to) => runWell('cp', ['-a', `${from}/.`, `${to}/`]) },
  { name: 'rsync -aHAXS', needs: ['rsync'], copy: (from, to) => runWell('rsync', ['-aHAXS', `${from}/`, `${to}/`]) },
  {
    name: 'tar',
    needs: ['tar'],
    copy: (from, to) => runWell('sh', ['-c', 'tar -C "$1" --xattrs --acls --sparse -cf - . | tar -C "$2" --xattrs --acls -xpf -', 'sh', from, to]),
  },
];

for (const { name, needs, copy } of ways) {
  void t.test(`${name} carries everything onto the mount, off it and out of a snapshot`, { skip: await unlessInstalled(...needs, 'setfattr', 'setfacl') }, async (t) => {
    await withMount(t, {}, async (mount) => {
      const describe = await makeDescriber(mount.place);
      const [source, onto, off, past] = [join(mount.place, 'source'), mount.path('onto'), join(mount.place, 'off'), join(mount.place, 'past')];
      for (const directory of [source, onto, off, past]) mkdirSync(directory);
      await makeTree(source);
      // tar keeps whole seconds unless told otherwise; the other two keep nanoseconds.
      const shape = name === 'tar' ? withoutFractions : (lines: readonly string[]): readonly string[] => lines;
      const expected = shape(await describe(source));
      await copy(source, onto);
      t.same(shape(await describe(onto)), expected, 'onto the mount');
      await copy(onto, off);
      t.same(shape(await describe(off)), expected, 'off the mount');
      await mount.cliWell('pin', mount.mountpoint, 'whole');
      await runWell('sh', ['-c', 'cd "$1" && rm -r folder && echo changed > program && chmod 600 sparse', 'sh', onto]);
      await copy(mount.path('.snapshots', '@whole', 'onto'), past);
      t.same(shape(await describe(past)), expected, 'out of a snapshot');
      const used = Number((await runWell('stat', ['-c', '%b', join(past, 'sparse')])).trim());
      t.ok(used < 2000, `the hole stays a hole: ${used} blocks`);
    });
  });
}

function withoutFractions(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.slice(0, line.lastIndexOf('.')));
}

void t.test('rsync finds nothing to do the second time', { skip: await unlessInstalled('rsync', 'setfattr', 'setfacl') }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const source = join(mount.place, 'source');
    mkdirSync(source);
    await makeTree(source);
    await runWell('rsync', ['-aHAX', `${source}/`, `${mount.path('copy')}/`]);
    t.equal(await runWell('rsync', ['-aHAXc', '--itemize-changes', `${source}/`, `${mount.path('copy')}/`]), '');
  });
});
