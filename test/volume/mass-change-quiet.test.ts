/** Ordinary work on a real mount raises no alarm of a mass change. */
import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { withMount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { runWell } from '../support/processes.js';
import { told } from './mass-change.js';

t.setTimeout(120_000);

const git = 'git -c user.name=t -c user.email=t@t -c gc.auto=0';

function python(program: string): string {
  return `python3 -c '
import os, random
${program.trim()}'`;
}

/** Each is a shell script in a session of its own; before it stands what may be there long before. */
const works: readonly { readonly name: string; readonly prepare?: string; readonly work: string }[] = [
  {
    name: 'git checkout of a branch in which 300 files are other ones, 40 are gone and 40 are new',
    prepare: `mkdir repo; cd repo; ${git} init -q .; for i in $(seq 340); do echo "one $i and some words" > f$i; done; ${git} add .; ${git} commit -qm one; ${git} checkout -qb other;
      for i in $(seq 300); do echo "two $i and other words" > f$i; done; for i in $(seq 301 340); do rm f$i; echo x > g$i; done; ${git} add -A .; ${git} commit -qm two`,
    work: `cd repo; ${git} checkout -q master 2>/dev/null || ${git} checkout -q main; ${git} checkout -q other`,
  },
  {
    name: 'untar, also over what is there',
    prepare: 'mkdir src; for i in $(seq 300); do seq $i 700 > src/$i.c; done; tar czf src.tgz src; rm -r src',
    work: 'tar xzf src.tgz; sleep 1; tar xzf src.tgz',
  },
  {
    name: 'compiling twice, with objects, dependencies and temporary files',
    work: python(`
os.mkdir("make"); os.chdir("make")
code = open("/bin/ls", "rb").read(8000)
for round in range(2):
  for i in range(200):
    open(f".t{i}.s", "w").write(f"mov {round}")
    open(f"{i}.o", "wb").write(code[round:])
    open(f"{i}.Tpo", "w").write(f"{i}.o: {i}.c")
    os.rename(f"{i}.Tpo", f"{i}.Po")
    os.unlink(f".t{i}.s")`),
  },
  { name: 'sed -i over 500 text files', prepare: 'mkdir sed; for i in $(seq 500); do seq $i 200 > sed/$i.txt; done', work: 'sed -i "s/1/one/" sed/*.txt' },
  {
    name: 'random pages of one file, as a database writes them',
    prepare: 'head -c 8000000 /dev/urandom > database',
    work: python(`
f = open("database", "r+b")
for i in range(300):
  f.seek(4096 * random.randrange(1900)); f.write(os.urandom(4096)); f.flush()
  if i % 30 == 0: os.fsync(f.fileno())`),
  },
  {
    name: 'temporary files that come and go',
    work: python(`
for i in range(400):
  open(f"t{i}", "wb").write(os.urandom(1000))
  if i >= 10: os.unlink(f"t{i - 10}")`),
  },
  {
    name: 'moving many files elsewhere, and finishing downloads',
    prepare: 'mkdir from to; cd from; touch $(seq 200); touch $(seq -f "d%g.part" 200)',
    work: python('for i in range(1, 201): os.rename(f"from/{i}", f"to/{i}"); os.rename(f"from/d{i}.part", f"from/d{i}")'),
  },
  {
    name: 'reading mail: flags in a Maildir', prepare: 'mkdir -p mail/cur; cd mail/cur; touch $(seq -f "%g.M1P2.host:2," 200)',
    work: python('for i in range(1, 201): os.rename(f"mail/cur/{i}.M1P2.host:2,", f"mail/cur/{i}.M1P2.host:2,S")'),
  },
  {
    name: 'logs that grow, and small files that are written anew', prepare: 'mkdir logs; cd logs; for i in $(seq 200); do echo line > $i; echo 1 > $i.pid; done',
    work: python('for i in range(1, 201): open(f"logs/{i}", "ab").write(os.urandom(3000)); open(f"logs/{i}.pid", "w").write(str(i))'),
  },
];

void t.test('ordinary work raises no alarm', { skip: await unlessInstalled('git', 'python3', 'tar') }, async (t) => {
  const prepare = async (directory: string): Promise<void> => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/old`, 'x');
    await Promise.all(works.map(({ prepare: before = 'true' }) => runWell('sh', ['-ec', before], { cwd: directory })));
  };
  await withMount(t, { prepare }, async (mount) => {
    for (const { name, work } of works) {
      await runWell('setsid', ['--wait', 'sh', '-ec', work], { cwd: mount.mountpoint });
      t.same(told(mount).map(({ text }) => text), [], name);
    }
    await runWell('setsid', ['--wait', 'sh', '-ec', 'rm -r repo'], { cwd: mount.mountpoint });
    t.equal(told(mount).length, 1, 'rm -r of many files does');
  });
});
