/** What the command line says to wrong usage and to bad input that needs no mount: one clear line with the remedy, and the right status. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';

// Some fifty processes are started, one after the other.
t.setTimeout(300_000);

const main = fileURLToPath(new URL('../../tools/main.js', import.meta.url));

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...argumentList: string[]): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...argumentList], { encoding: 'utf8', cwd: '/' });
  return { status, stdout, stderr };
}

/** Asserts that a command ends with the status and says one line that matches. */
function says(t: Test, result: Result, status: number, line: RegExp): void {
  t.equal(result.status, status, `status of "${result.stderr.trim()}"`);
  t.match(result.stderr, line);
  t.equal(result.stderr.split('\n').length, 2, 'it is one line');
  t.equal(result.stdout, '');
}

t.test('help and version are no errors', async (t) => {
  const help = run('--help');
  t.equal(help.status, 0);
  for (const command of ['mount', 'unmount', 'status', 'metrics', 'log', 'cat', 'diff', 'ls', 'restore', 'pin', 'unpin', 'pins', 'verify', 'backup', 'alarms', 'samba', 'doctor']) t.match(help.stdout, new RegExp(`^  ${command} `, 'm'));
  const version = run('--version');
  t.equal(version.status, 0);
  t.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  t.equal(run('mount', '--help').status, 0);
});

t.test('no command is wrong usage, and shows what there is', async (t) => {
  const result = run();
  t.equal(result.status, 2);
  t.match(result.stderr, /Usage: tidemark/);
});

t.test('wrong usage has status 2', async (t) => {
  says(t, run('frobnicate'), 2, /unknown command 'frobnicate'/);
  says(t, run('cat', '/etc/hostname'), 2, /required option '--at <T>'/);
  says(t, run('diff', '/etc'), 2, /required option '--from <T>'/);
  says(t, run('restore', '/etc'), 2, /required option '--at <T>'/);
  says(t, run('mount'), 2, /missing required argument 'DIR'/);
  says(t, run('mount', '/tmp', '--history=sometimes'), 2, /Allowed choices are exact, strict, relaxed/);
  says(t, run('mount', '/tmp', '--interval=fast'), 2, /Write it like 500ms or 1s/);
  says(t, run('mount', '/tmp', '--interval=1h'), 2, /from 10ms to 1m/);
  says(t, run('mount', '/tmp', '--driver=other'), 2, /Allowed choices are native, fuse-native/);
  says(t, run('log', '/tmp', '--limit=0'), 2, /whole number from 1/);
  says(t, run('pin', '/tmp', 'a/b'), 2, /no slash/);
  says(t, run('pin', '/tmp', 'txn-5'), 2, /already means a transaction/);
  says(t, run('unmount', '/a', '/b'), 2, /too many arguments/);
  says(t, run('mount', '/tmp', '--metrics-listen=0'), 2, /from 1 to 65535/);
  says(t, run('alarms', '/tmp', '--add-sink=pager'), 2, /no such sink; write log, command:PATH, webhook:URL or mail:ADDRESS/);
  says(t, run('alarms', '/tmp', '--digest-at=7'), 2, /Write it like 07:00/);
  says(t, run('alarms', '/tmp', '--scrub-rate=1K'), 2, /64K at least/);
  says(t, run('alarms', '/tmp', '--from=a@b.c'), 2, /belong to --add-sink mail/);
});

t.test('a directory that cannot be protected', async (t) => {
  const directory = t.testdir({ file: 'x', empty: {}, full: { file: 'x' } });
  says(t, run('mount', join(directory, 'none')), 1, /none does not exist; make it first: mkdir -p/);
  says(t, run('mount', join(directory, 'file')), 1, /file is not a directory/);
  says(t, run('mount', join(directory, 'empty'), join(directory, 'none')), 1, /mountpoint .*none does not exist; make it first/);
  says(t, run('mount', join(directory, 'empty'), join(directory, 'file')), 1, /mountpoint .*file is not a directory/);
  says(t, run('mount', join(directory, 'empty'), join(directory, 'full')), 1, /full is not empty; name an empty directory/);
  mkdirSync(join(directory, 'full', 'inside'));
  says(t, run('mount', join(directory, 'full'), join(directory, 'full', 'inside')), 1, /lies inside/);
  says(t, run('mount', '/proc'), 1, /file system of \/proc cannot hold a store.*ext4, xfs or btrfs/);
  says(t, run('mount', '/'), 1, /choose a directory below it/);
});

t.test('a path outside any volume', async (t) => {
  const directory = t.testdir({ file: 'x' });
  const file = join(directory, 'file');
  for (const command of [['cat', file, '--at', '1m'], ['log', file], ['diff', file, '--from', '1m'], ['ls', directory], ['restore', file, '--at', '1m'], ['pin', directory, 'name'], ['unpin', directory, 'name'], ['pins', directory]]) {
    says(t, run(...command), 1, /is in no mounted volume; mount its directory first: tidemark mount DIR/);
  }
  says(t, run('unmount', directory), 1, /is not mounted/);
});

t.test('status and verify make no store where there is none', async (t) => {
  const directory = t.testdir({ file: 'x' });
  says(t, run('status', directory), 1, /is not protected: it has no store; protect it: tidemark mount/);
  says(t, run('verify', directory), 1, /is not protected/);
  says(t, run('alarms', directory), 1, /is not protected/);
  says(t, run('alarms', directory, '--add-sink=log'), 1, /is not protected/);
  says(t, run('status', join(directory, 'none')), 1, /does not exist/);
  says(t, run('verify', join(directory, 'file')), 1, /is not a directory/);
});

t.test('a store of a newer format is refused in one line', async (t) => {
  const directory = t.testdir({ '.tidemark': {} });
  writeFileSync(join(directory, '.tidemark', 'volume.json'), '{"format":999,"id":"00000000000000000000000000000000","created":"2026-11-22T00:00:00Z"}\n');
  const result = run('verify', directory);
  t.equal(result.status, 1);
  t.match(result.stderr, /newer/);
  t.equal(result.stderr.split('\n').length, 2, 'it is one line');
});

t.test('nothing mounted is a state, not an error', async (t) => {
  const result = spawnSync(process.execPath, [main, 'status', '--json'], { encoding: 'utf8', cwd: '/' });
  t.equal(result.status, 0);
  t.ok(Array.isArray(JSON.parse(result.stdout)));
});
