/**
 * `tidemark undo` on real mounts: one user's, program's or process's changes go back, everybody else's stay; conflicts and given-up history are refused in one line.
 */
import { chmodSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRoot } from '../support/places.js';
import { run, runWell } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';
import { chooseSeed, Random } from '../support/seed.js';

t.setTimeout(120_000);
t.jobs = 3;

const skip = isRoot ? false : 'needs root';
const [anna, ben] = [61001, 61002];
const byAnna = ['--by-user', String(anna)] as const;

function test(name: string, body: (t: Test, mount: Mount) => Promise<void>): void {
  void t.test(name, { skip }, async (t) => {
    await withMount(t, {}, async (mount) => {
      chmodSync(mount.mountpoint, 0o777);
      await body(t, mount);
    });
  });
}

function as(mount: Mount, uid: number, script: string): Promise<string> {
  return runWell('sh', ['-ec', `umask 0; ${script}`], { uid, cwd: mount.mountpoint });
}

async function now(mount: Mount): Promise<string> {
  const [status] = await mount.json('status', mount.mountpoint);
  return `txn-${String(status?.['txid'])}`;
}

/** All that can be seen of a tree: names, kinds, modes, contents, attributes, which names are one file. */
function tree(directory: string): Promise<string> {
  const script = 'find . -mindepth 1 -printf "%P %y %m %n %l\\n" | sort; find . -type f | sort | xargs -r md5sum; getfattr -Rd . 2> /dev/null';
  return runWell('sh', ['-c', script], { cwd: directory });
}

test('one user\'s changes go back, another\'s stay, in the same files too', async (t, mount) => {
  await as(mount, 0, `mkdir t t/u; for f in a b t/x t/u/y; do echo $f > $f; done; ln t/x hard; setfattr -n user.k -v old a; head -c 20000 /dev/zero | tr '\\0' o > big`);
  const since = await now(mount);
  const before = await tree(mount.mountpoint);
  await as(mount, anna, `echo evil > a; rm b; mv t/x t/renamed; mkdir nd; echo z > nd/z; setfattr -n user.k -v new a; setfattr -n user.l -v new t/u/y; ln t/u/y extra
    printf XXXX | dd of=big bs=1 seek=100 conv=notrunc status=none; mv t moved; chmod 600 nd/z; echo tmp > tmp; mv tmp moved/u/y`);
  await as(mount, ben, "printf YYYY | dd of=big bs=1 seek=9000 conv=notrunc status=none; echo ben > moved/u/ben; echo own > own");
  const plan = await mount.cliWell('undo', mount.mountpoint, ...byAnna, '--since', since, '--dry-run');
  t.match(plan, /^rename +\/moved → \/t/m);
  t.match(plan, /^put back +\/big +bytes 0–4095 \(4\.0 KiB\) as of txn-\d+/m);
  t.match(plan, /^recreate +\/b +file as of txn-\d+/m);
  const done = await mount.cliWell('undo', mount.mountpoint, ...byAnna, '--since', since, '--yes');
  const big = readFileSync(mount.path('big'), 'latin1');
  t.equal(big.slice(100, 104) + big.slice(9000, 9004), 'ooooYYYY');
  await runWell('sh', ['-c', "rm t/u/ben own; printf oooo | dd of=big bs=1 seek=9000 conv=notrunc status=none"], { cwd: mount.mountpoint });
  t.equal(await tree(mount.mountpoint), before, 'without what is ben\'s it is as it was');
  const undo = /to undo it: tidemark (undo .*)/.exec(done)?.[1]?.split(' ') ?? [];
  const redone = await mount.cli(...undo, '--dry-run');
  t.match(redone.stdout, /^rename +\/t → \/moved/m, 'it is a transaction that can be taken back itself');
});

test('by process and by program, within a time', async (t, mount) => {
  const since = await now(mount);
  const pid = Number(await runWell('sh', ['-c', 'echo $$; echo 1 > one; echo 2 > two'], { cwd: mount.mountpoint }));
  await runWell('touch', ['three'], { cwd: mount.mountpoint });
  const until = await now(mount);
  await runWell('touch', ['four'], { cwd: mount.mountpoint });
  const plans = async (...options: string[]): Promise<unknown> => {
    const [plan] = await mount.json('undo', mount.mountpoint, '--since', since, '--dry-run', ...options);
    return (plan?.['steps'] as { path: string; kind: string }[]).filter(({ kind }) => kind === 'remove').map(({ path }) => path);
  };
  t.strictSame(await plans('--by-pid', String(pid)), ['/one', '/two']);
  t.strictSame(await plans('--by-command', 'touch', '--until', until), ['/three']);
  t.strictSame(await plans('--by-command', 'touch'), ['/three', '/four']);
  t.strictSame(await plans('--by-command', 'touch', '--by-user', String(anna)), []);
  t.match((await mount.cli('undo', mount.mountpoint, ...byAnna, '--since', since, '--yes')).stderr, /nothing to take back/);
});

test('conflicts are told with who did what, and nothing is changed', async (t, mount) => {
  await as(mount, 0, 'for f in a b c; do echo $f > $f; done; mkdir d e; echo x > e/x');
  const since = await now(mount);
  await as(mount, anna, 'echo anna > a; rm b e/x; mkdir d/mine; echo x > free');
  await as(mount, ben, 'echo ben > a; echo ben > b; echo ben > d/mine/f; rmdir e');
  const before = await tree(mount.mountpoint);
  const refused = await mount.cli('undo', mount.mountpoint, ...byAnna, '--since', since, '--yes');
  t.equal(refused.status, 1);
  t.match(refused.stderr, /^conflict: \/a: .*changed again by others \(61001 sh\[\d+\] at .*, txn-\d+, then 61002 sh\[\d+\] at .*, txn-\d+\)$/m);
  t.match(refused.stderr, /^conflict: \/b: the name was changed again by others \(61001 rm/m);
  t.match(refused.stderr, /^conflict: \/d\/mine: others have changed it, or what is in it, since \(61001 mkdir.*then 61002 sh/m);
  t.match(refused.stderr, /^conflict: \/e\/x: its directory is not there any more \(61001 rm\[\d+\] at [^,]*, txn-\d+\)$/m, 'by where it was');
  t.match(refused.stderr, /^tidemark: \d+ conflicts: nothing was changed; --skip-conflicts /m);
  t.equal(await tree(mount.mountpoint), before);
  isRefusal(t, await mount.cli('undo', mount.path('free'), ...byAnna, '--since', since), /nobody can be asked here, so nothing was changed; look at it with --dry-run, then say --yes/);
  await mount.cliWell('undo', mount.mountpoint, ...byAnna, '--since', since, '--yes', '--skip-conflicts');
  t.equal(await tree(mount.mountpoint), before.split('\n').filter((line) => !/(^|\/)free\b/.test(line)).join('\n'), 'the rest has gone back');
});

test('a file that two had open for writing at once is nobody\'s for sure', async (t, mount) => {
  await as(mount, 0, 'echo old > shared');
  const since = await now(mount);
  await Promise.all([as(mount, anna, 'exec 3<> shared; printf anna >&3; sleep 0.6'), sleep(200).then(() => as(mount, ben, 'exec 3<> shared; printf b >&3; sleep 0.6'))]);
  const [plan] = await mount.json('undo', mount.mountpoint, ...byAnna, '--since', since, '--dry-run');
  t.match(plan?.['conflicts'], [{ kind: 'uncertain', path: '/shared' }]);
});

test('bad input gets one line', async (t, mount) => {
  isRefusal(t, await mount.cli('undo', mount.mountpoint, '--since', '1m'), /say whose changes: --by-user, --by-pid or --by-command/, 2);
  isRefusal(t, await mount.cli('undo', mount.mountpoint, ...byAnna), /required option '--since <T>'/, 2);
  isRefusal(t, await mount.cli('undo', mount.mountpoint, ...byAnna, '--since', 'soonish'), /cannot read the moment "soonish"/);
  isRefusal(t, await mount.cli('undo', mount.path('never'), ...byAnna, '--since', 'txn-0'), /never is not there now/);
  isRefusal(t, await mount.cli('undo', mount.mountpoint, ...byAnna, '--since', '2020-01-01', '--dry-run'), /the history begins at .*; say --since txn-0 for all of it/);
  for (let count = 0; count < 4; count++) await as(mount, anna, `echo ${count} > f`);
  await sleep(2500);
  await mount.cliWell('policy', mount.mountpoint, '--ladder', '2s:all,1h:1m', '--at-least', '1s');
  await mount.cliWell('prune', mount.mountpoint);
  await as(mount, anna, 'echo later > g');
  const refused = await mount.cli('undo', mount.mountpoint, ...byAnna, '--since', '2020-01-01', '--yes');
  isRefusal(t, refused, /no longer kept one by one, so they cannot be undone; what changed since .* can: --since txn-\d+/);
  const from = /--since (txn-\d+)/.exec(refused.stderr)?.[1] ?? '';
  t.match(await mount.cliWell('undo', mount.mountpoint, ...byAnna, '--since', from, '--dry-run'), /^remove +\/g/m);
});

/** One change of something named by a small alphabet; bytes and values come once only, so that it changes something or fails. (No hard links: which of the names of a
 * file somebody meant cannot be told; test/engine/undo.test.ts has them.) */
function chance(random: Random): string {
  const name = (): string => random.pick(['x', 'y', 'z', 'd/x', 'd/y']);
  const [from, to, unique] = [name(), name(), random.below(1e9)];
  return random.pick([
    `echo ${unique} >> ${from}`,
    `rm ${from}`,
    `test ! -e ${to} && mv ${from} ${to}`,
    `yes ${unique} | head -c 4096 | dd of=${from} bs=4096 seek=${random.below(3)} conv=notrunc,nocreat iflag=fullblock status=none`,
    `test -f ${from} && truncate -c -s ${random.below(12_000)} ${from}`,
    `chmod ${random.pick(['600', '640', '666'])} ${from}`,
    `setfattr -n user.${random.pick(['k', 'l'])} -v ${unique} ${from}`,
  ]);
}

test('undoing one of two by chance leaves what the other\'s changes alone make', async (t, mount) => {
  const seed = chooseSeed();
  const random = new Random(seed);
  let undone = 0;
  for (let round = 0; round < 6; round++) {
    const [both, alone] = [mount.path(`both${round}`), mount.path(`alone${round}`)];
    await as(mount, 0, `mkdir -p ${both}/d; chmod 777 ${both} ${both}/d; for f in x y d/x; do yes $f | head -c 6000 > ${both}/$f; done; cp -a ${both} ${alone}`);
    const since = await now(mount);
    const told: string[] = [];
    for (let count = 2 + random.below(6); count > 0; count--) {
      const [script, uid] = [`umask 0; ${chance(random)}`, random.pick([anna, ben])];
      const before = await tree(both);
      const { status } = await run('sh', ['-c', script], { cwd: both, uid });
      told.push(`${uid} ${script}: ${status}`);
      // What failed, or changed nothing as things stood, is no change of his.
      if (uid === ben && status === 0 && await tree(both) !== before) await run('sh', ['-c', script], { cwd: alone, uid });
    }
    const { status, stdout, stderr } = await mount.cli('undo', both, ...byAnna, '--since', since, '--yes');
    if (status !== 0) t.match(stderr, /conflict/, `round ${round}, TIDEMARK_SEED=${seed}`, { told });
    else if (!t.equal(await tree(both), await tree(alone), `round ${round}, TIDEMARK_SEED=${seed}`, { told, stdout })) break;
    else undone++;
  }
  t.ok(undone > 0, `TIDEMARK_SEED=${seed}`);
});
