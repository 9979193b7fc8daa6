/**
 * A mount outlives its daemon: whatever kills it, applications only wait, nothing is lost, and the past reads as before.
 */
import { renameSync, writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { ControlClient } from '../../tools/control-client.js';
import { isMountpoint, withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRoot } from '../support/places.js';
import { isAlive, until } from '../support/processes.js';
import { chooseSeed, Random } from '../support/seed.js';
import { Applications, digestOf, everyRole, privateKib, startMs } from './applications.js';
import type { Role } from './applications.js';

t.setTimeout(240_000);

/** Only who may open inodes by their numbers can go on with what another process has left. */
const skip = isRoot ? false : 'needs root';

/** The promise; and where others want the processors, too, what so many bare starts of Node take. */
const promisedMs = 2000;
const startsWorth = 25;

const seed = chooseSeed();
const random = new Random(seed);
t.comment(`TIDEMARK_SEED=${seed}`);

interface Status {
  readonly pid: number;
  readonly restarts: number;
  readonly lastRestart: { why: string; pauseMs: number } | null;
  readonly openHandles: number;
  readonly notices: readonly string[];
}

async function statusOf(mount: Mount): Promise<Status> {
  return (await mount.json('status', mount.mountpoint))[0] as unknown as Status;
}

/** Kills the daemon and waits until another one is registered. */
async function killOnce(mount: Mount): Promise<void> {
  const pid = mount.killDaemon();
  await until(() => mount.registered().pid !== pid, 'another daemon');
}

async function finish(t: Test, applications: Applications, limitMs: number): Promise<void> {
  for (const { role, complaint, steps, longestMs } of await applications.finish()) {
    t.equal(complaint, '', `${role}: ${steps} steps, the longest took ${longestMs} ms`);
    // Who looks into the past also waits for the next daemon's index, with each request of a step.
    const mostMs = role === 'past' ? 2 * limitMs : limitMs;
    t.ok(steps > 0 && longestMs < mostMs, `${role} waited for less than ${Math.round(mostMs)} ms`);
  }
}

void t.test('killed again and again, and upgraded: applications see no error, only a pause', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const limitMs = Math.max(promisedMs, startsWorth * (await startMs()));
    const applications = await Applications.start(mount, everyRole, random);
    const before = await digestOf(mount, 'before');
    for (let kills = 0; kills < 3; kills += 1) {
      await sleep(300 + random.below(900));
      await killOnce(mount);
    }
    t.strictSame(applications.ended(), [], 'all go on');
    const killed = await statusOf(mount);
    t.match(killed, { restarts: 3, lastRestart: { why: 'SIGKILL' } });
    const said = await mount.cliWell('upgrade', mount.directory);
    t.match(said, /is served by the new daemon \d+; applications waited for \d+\.\d\d s/);
    const upgraded = await statusOf(mount);
    t.match(upgraded, { restarts: 4, lastRestart: { why: 'upgrade' } });
    t.not(upgraded.pid, killed.pid);
    t.match(await mount.cliWell('status', mount.directory), /started again 4 times, last .*\(upgrade\)/);
    t.comment(`pauses of ${killed.lastRestart?.pauseMs} and ${upgraded.lastRestart?.pauseMs} ms; the keeper has ${privateKib(mount.keeperPid)} KiB of its own`);
    // A step may have met two of the kills.
    await finish(t, applications, 2 * limitMs);
    t.equal(await digestOf(mount, 'before'), before, 'the past is as it was');
    t.match(await mount.cliWell('verify', mount.directory), /all is well/);
    t.equal((await statusOf(mount)).openHandles, 0, 'no handle is forgotten');
    const { keeperPid } = mount;
    await mount.cliWell('unmount', mount.directory);
    await until(() => !isMountpoint(mount.mountpoint) && !isAlive(keeperPid), 'the keeper to end');
  });
});

const labels = ['log-append', 'after-undo', 'after-act', 'before-end', 'after-end', 'object-move', 'rename-exchange'];

async function killedAt(t: Test, label: string, roles: readonly Role[]): Promise<void> {
  await withMount(t, { survives: true, environment: { TIDEMARK_FAILPOINT: label } }, async (mount) => {
    const applications = await Applications.start(mount, roles, random);
    await until(async () => (await statusOf(mount)).restarts > 0, `the crash at ${label}`);
    await finish(t, applications, Infinity);
    t.match(await mount.cliWell('verify', mount.directory), /all is well/, label);
  });
}

void t.test('killed in the midst of a change, which is then done once', { skip }, async (t) => {
  await killedAt(t, `${random.pick(labels)}:${1 + random.below(20)}`, ['names', 'appender']);
});

void t.test('killed where the log begins a segment, with transactions that have not ended', { skip }, async (t) => {
  await killedAt(t, 'segment-roll', everyRole.filter((role) => role !== 'past'));
});

void t.test('a new program that does not start is given up for the old one; a daemon that cannot start, with its mount', { skip }, async (t) => {
  await withMount(t, { apart: true }, async (mount) => {
    writeFileSync(mount.path('file'), 'kept');
    const client = await ControlClient.connect(mount.registered());
    await client.ask('upgrade', { program: ['/bin/false'] });
    await client.closed;
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'kept', 'the old one serves');
    t.match(await statusOf(mount), { restarts: 2, lastRestart: { why: /did not start/ } });
    t.match(mount.daemonLog(), /the new daemon ended with status 1 before it was ready/);

    const { keeperPid } = mount;
    const volumeFile = join(mount.directory, '.tidemark', 'volume.json');
    renameSync(volumeFile, `${volumeFile}.aside`);
    mount.killDaemon();
    await until(() => !isAlive(keeperPid), 'the keeper to give up');
    t.match(mount.daemonLog(), /died 5 times in a row .*: given up, the mount is dead; mount again to recover/);
    t.throws(() => readFileSync(mount.path('file')), /ENOTCONN|ECONNABORTED/);
    renameSync(`${volumeFile}.aside`, volumeFile);
    await mount.mount();
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'kept');
  });
});

void t.test('SIGTERM to the keeper unmounts', async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'kept');
    process.kill(mount.keeperPid, 'SIGTERM');
    await until(() => !isMountpoint(mount.mountpoint), 'the signal to be handed on');
    t.notMatch(mount.daemonLog(), /given up|another one/);
  });
});

void t.test('--no-keeper: the mount ends with its daemon', async (t) => {
  await withMount(t, { arguments: ['--no-keeper'] }, async (mount) => {
    writeFileSync(mount.path('file'), 'kept');
    await mount.kill9();
    t.throws(() => readFileSync(mount.path('file')), /ENOTCONN|ECONNABORTED/);
    const outcome = await mount.cli('upgrade', mount.directory);
    t.equal(outcome.status, 1);
  });
});
