/** The scrub, the alarms and the metrics endpoint of real mounts. */
import { spawn } from 'node:child_process';
import { chmodSync, closeSync, existsSync, openSync, readFileSync, readSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import type { Message } from '../../tools/alarms/message.js';
import { parseExposition, sampleOf } from '../support/exposition.js';
import { makeLoopDisk } from '../support/loop-disk.js';
import { withDirectory, withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { runWell, until } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(120_000);
// They mostly wait.
t.jobs = 3;

/** The disk of the tests may be as full as it likes. */
const calm = ['--disk-free', '0', '--disk-days', '0', '--check-every', '1s'];
const quick = [...calm, '--scrub-round', '1s'];

interface Status {
  readonly scrub: { readonly position: number; readonly rounds: number; readonly records: number; readonly faults: readonly unknown[] };
  readonly alarms: readonly { readonly alarm: string; readonly acknowledged: boolean }[];
  readonly notices: readonly string[];
}

async function statusOf(mount: Mount): Promise<Status> {
  return (await mount.json('status', mount.directory))[0] as unknown as Status;
}

/** A command that writes what it gets behind each other; gives what it got. */
function collector(mount: Mount): { sink: string; messages: () => Message[] } {
  const path = join(mount.place, 'collect');
  const got = join(mount.place, 'got');
  writeFileSync(path, `#!/bin/sh\ncat >> '${got}'\n`);
  chmodSync(path, 0o755);
  return { sink: `command:${path}`, messages: () => (existsSync(got) ? readFileSync(got, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as Message) : []) };
}

/** Changes one bit of the log behind a text that stands in it; the volume must not be mounted. */
function flip(mount: Mount, text: string): void {
  const log = join(mount.directory, '.tidemark', 'log');
  const path = join(log, readdirSync(log).sort().at(-1) ?? '');
  const at = readFileSync(path).indexOf(text);
  if (at < 0) throw new Error(`the log has no "${text}"`);
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  writeSync(fd, Buffer.of((byte[0] ?? 0) ^ 0x10), 0, 1, at);
  closeSync(fd);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

void t.test('a flipped byte in the log is found by the scrub and told once, over restarts; verify finds it, too', async (t) => {
  await withMount(t, {}, async (mount) => {
    const { sink, messages } = collector(mount);
    writeFileSync(mount.path('file'), 'this will be overwritten '.repeat(1000));
    writeFileSync(mount.path('file'), 'something else '.repeat(2000));
    await mount.cliWell('alarms', mount.directory, ...quick, '--add-sink', sink);
    await until(async () => (await statusOf(mount)).scrub.rounds > 0, 'a round of the scrub');
    t.same((await statusOf(mount)).scrub.faults, []);
    t.same((await statusOf(mount)).alarms, []);
    await mount.unmount();
    flip(mount, 'this will be overwritten ');
    await mount.mount();
    await until(() => messages().length > 0, 'the alarm');
    t.match(messages(), [{ event: 'raised', alarm: 'scrub', volume: mount.directory, text: /found 1 fault in the log/, remedy: /check the disk/ }]);
    t.equal((await statusOf(mount)).scrub.faults.length, 1);
    t.match(await mount.cliWell('status', mount.directory), /ALARM {5}scrub: the scrub found 1 fault/);
    const verified = await mount.cli('verify', mount.directory);
    t.equal(verified.status, 1);
    t.match(verified.stdout, /damaged bytes/);
    await until(() => messages().length > 1, 'the alarm of verify');
    t.match(messages()[1], { event: 'raised', alarm: 'verify' });

    t.match(await mount.cliWell('alarms', mount.directory, '--acknowledge'), /2 alarms acknowledged/);
    await mount.remount();
    const { rounds } = (await statusOf(mount)).scrub;
    await until(async () => (await statusOf(mount)).scrub.rounds > rounds + 1, 'two more rounds');
    t.match((await statusOf(mount)).alarms, [{ alarm: 'scrub', acknowledged: true }, { alarm: 'verify', acknowledged: true }]);
    t.equal(messages().length, 2, 'nothing is told again');

    await mount.unmount();
    flip(mount, Buffer.from('this will be overwritten ').fill(0x74 ^ 0x10, 0, 1).toString());
    await mount.mount();
    await until(() => messages().length > 2, 'the end of the alarm');
    t.match(messages()[2], { event: 'ended', alarm: 'scrub', remedy: null });
  });
});

void t.test('a restart of the daemon, and its death, cost the scrub next to nothing', async (t) => {
  await withMount(t, {}, async (mount) => {
    for (const round of ['1', '2']) writeFileSync(mount.path('file'), round.repeat(24 << 20));
    await mount.cliWell('alarms', mount.directory, '--scrub-round', '1s', '--scrub-rate', '2M');
    await until(async () => (await statusOf(mount)).notices.length === 0 && existsSync(mount.path('file')), 'the mount');
    await new Promise((resolve) => { setTimeout(resolve, 3000); });
    await mount.unmount();
    const kept = (): { position: number; records: number; rounds: number } => (JSON.parse(readFileSync(join(mount.directory, '.tidemark', 'scrub.json'), 'utf8')) as { state: { position: number; records: number; rounds: number } }).state;
    const first = kept();
    t.ok(first.position > 2 << 20 && first.position < 18 << 20, `at ${first.position} of 24 MiB`);
    t.equal(first.rounds, 0);

    await mount.mount();
    t.equal((await statusOf(mount)).scrub.position, first.position, 'where it was');
    await new Promise((resolve) => { setTimeout(resolve, 1500); });
    await mount.kill9();
    await mount.cliWell('unmount', mount.directory);
    t.ok(kept().position >= first.position, 'a kill costs what was not written yet');
    await mount.mount();
    await mount.cliWell('alarms', mount.directory, '--scrub-rate', '1G');
    await until(async () => (await statusOf(mount)).scrub.rounds > 0, 'the round to end', 20_000);
    t.same((await statusOf(mount)).scrub.faults, []);
  });
});

void t.test('changes made past the mount are told; a digest is sent to those who want it', async (t) => {
  await withMount(t, {}, async (mount) => {
    const { sink, messages } = collector(mount);
    writeFileSync(mount.path('file'), 'one');
    await mount.unmount();
    await mount.cliWell('alarms', mount.directory, ...calm, '--add-sink', sink, '--digest');
    writeFileSync(join(mount.directory, 'file'), 'outside');
    await mount.mount();
    await until(() => messages().length > 0, 'the alarm');
    t.match(messages(), [{ event: 'raised', alarm: 'external', text: /changed past the mount/ }]);
    t.match(await mount.cliWell('alarms', mount.directory, '--digest-now'), /on its way to command:/);
    await until(() => messages().length > 1, 'the digest');
    t.match(messages()[1], { event: 'digest', lines: [/transaction/, /history/, /disk/, /scrub/, /alarm: files were changed/] });
    t.match(mount.daemonLog(), /changed past the mount/, 'the log was told, too');
  });
});

const skip = !isRoot ? 'needs root' : await unlessInstalled('mkfs.ext4', 'fsfreeze');
void t.test('a disk that takes nothing any more is told while it hangs', { skip }, async (t) => {
  const prepare = (directory: string): Promise<void> => makeLoopDisk('ext4', directory, 256 << 20);
  await withMount(t, { apart: true, arguments: ['--interval=30s'], prepare }, async (mount) => {
    const { sink, messages } = collector(mount);
    await mount.cliWell('alarms', mount.directory, ...calm, '--log-sync-time', '2s', '--add-sink', sink);
    writeFileSync(mount.path('file'), 'text');
    // Whatever becomes of this process, the disk goes on: it notices by the end of its input.
    const thaw = spawn('sh', ['-c', 'read -r _; fsfreeze --unfreeze "$1"', 'sh', mount.directory], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    try {
      await runWell('fsfreeze', ['--freeze', mount.directory]);
      await until(() => messages().length > 0, 'the alarm', 15_000);
      t.match(messages(), [{ event: 'raised', alarm: 'log-sync', text: /not synced though .* wait/ }]);
    } finally {
      thaw.stdin.end('\n');
      await once(thaw, 'exit');
    }
    t.match(await mount.cliWell('log', mount.path('file')), /create/, 'and goes on when the disk does');
  });
});

void t.test('a test says how each sink went, and a change holds at once', async (t) => {
  await withMount(t, {}, async (mount) => {
    const { sink, messages } = collector(mount);
    await mount.cliWell('alarms', mount.directory, ...calm, '--add-sink', sink);
    t.match(await mount.cliWell('alarms', mount.directory, '--test'), /^log: well\ncommand:.*: well\n$/);
    t.match(messages(), [{ event: 'test', alarm: null }]);
    const failing = join(mount.place, 'failing');
    writeFileSync(failing, '#!/bin/sh\nexit 1\n');
    chmodSync(failing, 0o755);
    await mount.cliWell('alarms', mount.directory, '--add-sink', `command:${failing}`);
    const tested = await mount.cli('alarms', mount.directory, '--test');
    t.equal(tested.status, 1);
    t.match(tested.stdout, /failing: failed: .*status 1\n/);
    t.equal(messages().length, 2, 'the others are told all the same');
    await mount.cliWell('alarms', mount.directory, '--remove-sink', sink);
    t.notMatch(await mount.cliWell('alarms', mount.directory), /collect/);
    const [shown] = await mount.json('alarms', mount.directory);
    t.match(shown, { mounted: true, sinks: [{ name: 'log' }, { name: `command:${failing}` }] });
  });
});

void t.test('what cannot be is refused in one line, and nothing is changed, mounted or not', async (t) => {
  await withMount(t, {}, async (mount) => {
    const inside = mount.path('program');
    writeFileSync(inside, '#!/bin/sh\n', { mode: 0o755 });
    const before = await mount.json('alarms', mount.directory);
    isRefusal(t, await mount.cli('alarms', mount.directory, '--add-sink', 'pager:5'), /no such sink; write log, command:PATH/, 2);
    isRefusal(t, await mount.cli('alarms', mount.directory, '--add-sink', 'webhook:nonsense'), /It is no URL/, 2);
    isRefusal(t, await mount.cli('alarms', mount.directory, '--add-sink', `command:${inside}`), /which Tidemark serves; put it elsewhere/);
    isRefusal(t, await mount.cli('alarms', mount.directory, '--add-sink', 'command:/none/there'), /cannot be found/);
    isRefusal(t, await mount.cli('alarms', mount.directory, '--add-sink', 'mail:a@b.c', '--smtp', 'smtp://u@h', '--password-file', '/none'), /cannot be found/);
    isRefusal(t, await mount.cli('alarms', mount.directory, '--remove-sink', 'mail:a@b.c'), /no sink mail:a@b\.c; there are: log/);
    isRefusal(t, await mount.cli('alarms', mount.directory, '--disk-days', 'soon'), /number from 0/, 2);
    isRefusal(t, await mount.cli('alarms', mount.directory, '--index-lag', '1K'), /1M at least/, 2);
    const same = await mount.json('alarms', mount.directory);
    t.same([same[0]?.['sinks'], same[0]?.['limits']], [before[0]?.['sinks'], before[0]?.['limits']]);
    await mount.unmount();
    t.notOk(existsSync(join(mount.directory, '.tidemark', 'alarms.json')), 'nothing was written');
    isRefusal(t, await mount.cli('alarms', mount.directory, '--test'), /is not mounted, and it is the daemon that does this/);
    const file = join(mount.directory, '.tidemark', 'alarms.json');
    writeFileSync(file, '{"format":1,"sinks":"many"}');
    isRefusal(t, await mount.cli('alarms', mount.directory, '--disk-days', '3'), /alarms\.json in the store is not what it should be.*correct it/);
    await mount.mount();
    t.match((await statusOf(mount)).notices.join(), /alarms\.json in the store/, 'a mount goes on without it, and says so');
    isRefusal(t, await mount.cli('alarms', mount.directory, '--disk-days', '3'), /alarms\.json in the store is not what it should be/);
    await mount.unmount();
    t.equal(readFileSync(file, 'utf8'), '{"format":1,"sinks":"many"}');
  });
});

void t.test('the endpoint serves what `tidemark metrics` prints', async (t) => {
  const port = await freePort();
  await withMount(t, { arguments: [`--metrics-listen=${port}`] }, async (mount) => {
    writeFileSync(mount.path('file'), 'text');
    await mount.cliWell('alarms', mount.directory, ...quick);
    await until(async () => (await statusOf(mount)).scrub.rounds > 0, 'a round of the scrub');
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    t.equal(response.status, 200);
    t.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    const samples = parseExposition(await response.text());
    const volume = mount.directory;
    t.equal(sampleOf(samples, 'tidemark_alarm', { volume, alarm: 'disk' }), 0);
    t.equal(sampleOf(samples, 'tidemark_scrub_faults', { volume }), 0);
    t.ok(sampleOf(samples, 'tidemark_scrub_rounds', { volume }) > 0);
    t.ok(sampleOf(samples, 'tidemark_disk_free_bytes', { volume }) > 0);
    const printed = parseExposition(await mount.cliWell('metrics', mount.directory));
    const names = (list: typeof samples): string[] => [...new Set(list.map(({ name }) => name))].sort();
    t.same(names(printed), names(samples));
    t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
    t.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST' })).status, 405);
  });
});

void t.test('a port that is taken, or is none, is refused before anything is mounted', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  await withDirectory(t, {}, async (mount) => {
    isRefusal(t, await mount.cli('mount', mount.directory, `--metrics-listen=${port}`), /port \d+: the port is taken; choose another/);
    isRefusal(t, await mount.cli('mount', mount.directory, '--metrics-listen=0'), /from 1 to 65535/, 2);
    isRefusal(t, await mount.cli('mount', mount.directory, '--metrics-listen=192.0.2.1:9464'), /no such address; choose another/);
    t.notOk(existsSync(join(mount.directory, '.tidemark')), 'not even a store was made');
  });
});
