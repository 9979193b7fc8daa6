/** `tidemark samba` and `tidemark doctor samba` on real volumes, with Samba's own `testparm` and without. */
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRoot, repositoryRoot } from '../support/places.js';
import { isInstalled, run } from '../support/processes.js';
import type { Outcome } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(120_000);
t.jobs = 2;

const isUserMountPossible = isRoot && (statSync('/dev/fuse').mode & 0o006) === 0o006 && await isInstalled('fusermount3');

/** Sections for directories, as they are printed; `change` edits the text. */
async function configure(mount: Mount, directory: string, change: (section: string) => string): Promise<string> {
  const config = join(mount.place, 'smb.conf');
  writeFileSync(config, `[global]\nserver role = standalone server\n${change(await mount.cliWell('samba', directory, '--name', 'data'))}`);
  return config;
}

/** Where no program of Samba's is found. */
function doctorWithoutSamba(mount: Mount, config: string): Promise<Outcome> {
  return run(process.execPath, [join(repositoryRoot, 'dist/tools/main.js'), 'doctor', 'samba', '--config', config], { environment: { TIDEMARK_RUNTIME_DIR: mount.runtime, PATH: '/nonexistent' } });
}

/** Checks that the doctor finds exactly these faults (each a pattern of its line), with testparm and without. */
async function finds(t: Test, mount: Mount, config: string, ...faults: RegExp[]): Promise<void> {
  for (const outcome of [await mount.cli('doctor', 'samba', '--config', config), await doctorWithoutSamba(mount, config)]) {
    // Only root's mounts let Samba in.
    const lines = outcome.stdout.split('\n').filter((line) => line !== '' && !/^\[[^\]]*\] \/.* (is a volume|lies in the volume .*)$/.test(line) && !/for its owner alone/.test(line));
    t.equal(lines.length, faults.length, outcome.stdout);
    for (const [index, fault] of faults.entries()) t.match(lines[index], fault);
    if (isRoot) t.equal(outcome.status, faults.length === 0 ? 0 : 1, outcome.stderr);
    if (faults.length > 0) isRefusal(t, outcome, /smb\.conf: \d+ faults? found; each is listed with its remedy/);
  }
}

void t.test('a mounted volume', async (t) => {
  await withMount(t, {}, async (mount) => {
    const directory = mount.path('Büro Akten');
    mkdirSync(directory);
    writeFileSync(mount.path('file'), 'x');
    t.match(await mount.cliWell('samba', mount.mountpoint), new RegExp(`^\\[protected\\]\n {3}path = ${mount.mountpoint}\n`));
    t.equal((await mount.json('samba', directory))[0]?.['name'], 'Büro Akten');
    isRefusal(t, await mount.cli('samba', mount.path('file')), /file is not a directory/);
    isRefusal(t, await mount.cli('samba', mount.path('none')), /none does not exist; make it first/);
    isRefusal(t, await mount.cli('samba', mount.place), /is in no volume; protect it first: tidemark mount DIR/);
    isRefusal(t, await mount.cli('samba', directory, '--name', 'homes'), /cannot be called "homes"/, 2);

    const link = join(mount.place, 'link');
    symlinkSync(directory, link);
    const config = await configure(mount, directory, (section) => {
      const copies = { twice: `${section}shadow:localtime = yes\n`, link: section.replace(directory, link), user: section.replace(directory, join(link, '%U')), old: section.replace(directory, mount.place) };
      return `${section}${Object.entries(copies).map(([name, copy]) => copy.replace('[data]', `[${name}]`)).join('')}`;
    });
    await finds(t, mount, config,
      /smb\.conf:21: \[twice\] shadow:localtime = no: line 23 says yes, which counts; keep one of the two/, /smb\.conf:23: \[twice\] shadow:localtime = yes: .*UTC; write: shadow:localtime = no/,
      new RegExp(`smb\\.conf:25: \\[link\\] .*symlink.*; write: path = ${directory}$`), new RegExp(`smb\\.conf:35: \\[user\\] .*; write: path = ${directory}/%U$`),
      /smb\.conf:45: \[old\] .* is in no volume.*tidemark mount/);
    const other = join(mount.place, 'other.conf');
    writeFileSync(other, '[other]\npath = /usr\n');
    isRefusal(t, await mount.cli('doctor', 'samba', '--config', other), /no share of .*other\.conf lies in a volume; `tidemark samba DIR` prints one/);
    isRefusal(t, await mount.cli('doctor', 'samba', '--config', join(mount.place, 'none')), /there is no .*none; say where it is/);
    writeFileSync(other, '[data\n');
    isRefusal(t, await mount.cli('doctor', 'samba', '--config', other), /other\.conf:1: \[data opens no section/);
  });
});

void t.test('a volume that is mounted elsewhere, or not at all', async (t) => {
  await withMount(t, { apart: true }, async (mount) => {
    const wrong = await configure(mount, mount.directory, (section) => {
      t.match(section, new RegExp(`path = ${mount.mountpoint}\n`), 'the mount is shared, not the files behind it');
      return section.replace(mount.mountpoint, mount.directory);
    });
    await finds(t, mount, wrong, new RegExp(`files behind it.*; write: path = ${mount.mountpoint}$`));
    await mount.unmount();
    const unmounted = await doctorWithoutSamba(mount, wrong);
    t.equal(unmounted.status, 1);
    t.match(unmounted.stdout, /is protected but not mounted; mount it: tidemark mount/);
    const printed = await mount.cli('samba', mount.directory);
    t.equal(printed.status, 0);
    t.match(printed.stderr, /not mounted/);
    await mount.mount();
    await mount.kill9();
    const right = wrong.replace('smb.conf', 'right.conf');
    writeFileSync(right, `[data]\npath = ${mount.mountpoint}\n`);
    const outcome = await mount.cli('doctor', 'samba', '--config', right);
    t.equal(outcome.status, 1);
    t.match(outcome.stdout, /right\.conf:2: \[data\] the daemon of .* has died; `tidemark mount .*recovers it/);
  });
});

void t.test('a mount that lets nobody else in', { skip: isUserMountPossible ? false : '/dev/fuse is closed to users' }, async (t) => {
  await withMount(t, { uid: 65534 }, async (mount) => {
    const section = await mount.cli('samba', mount.mountpoint);
    t.equal(section.status, 0);
    t.match(section.stderr, /mounted for its owner alone, so Samba cannot get in; mount it as root, or with --allow-other/);
  });
});
