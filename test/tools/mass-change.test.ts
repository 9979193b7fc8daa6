/** What is done about a mass change, without a mount: names of pins, which of them go, words, and the processes that are stopped. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { keepMassChanges, readMassChanges } from '../../tools/alarms/mass-change/memory.js';
import type { Incident } from '../../tools/alarms/mass-change/memory.js';
import { letGo, stopGroup } from '../../tools/alarms/mass-change/processes.js';
import { massChangeRemedy, massChangeText, pinName, pinsMax, pinsToGiveUp } from '../../tools/alarms/mass-change/words.js';
import { statOf } from '../../tools/processes.js';
import { until } from '../support/processes.js';

const dayMs = 86_400_000;
const nowMs = Date.UTC(2026, 10, 23, 3, 21, 53);
const incident: Incident = {
  serial: 1, atMs: nowMs, forMs: 400, uid: 1000, session: 7, pid: 8, command: 'python3', overwritten: 60, removed: 0, renamed: 1, files: 61, examples: ['/a', '/b'],
  txid: '41', pin: 'before-mass-change-2026-11-23T03-21-53Z', held: [],
};

t.test('a pin is named by the time of the first change, and no name is taken twice', async (t) => {
  t.equal(pinName(nowMs, new Set()), incident.pin);
  t.equal(pinName(nowMs + 999, new Set([incident.pin, `${incident.pin}-2`])), `${incident.pin}-3`);
});

t.test('the oldest pins go, but none that is younger than a day, and none of another name', async (t) => {
  const pins = (count: number, ageMs: number): { name: string; madeAtNs: bigint }[] => Array.from({ length: count }, (_, index) => {
    const madeAtMs = nowMs - ageMs - index * 1000;
    return { name: pinName(madeAtMs, new Set()), madeAtNs: BigInt(madeAtMs) * 1_000_000n };
  });
  const mine = { name: 'before-mass-change', madeAtNs: 0n };
  t.same(pinsToGiveUp([mine, ...pins(pinsMax - 1, 2 * dayMs)], nowMs), []);
  const full = pins(pinsMax, 2 * dayMs);
  t.same(pinsToGiveUp([mine, ...full], nowMs), [full.at(-1)?.name], 'the oldest');
  t.equal(pinsToGiveUp(pins(pinsMax, dayMs / 2), nowMs), undefined, 'all are young');
});

t.test('an incident is told with all that is known of it', async (t) => {
  t.equal(massChangeText(incident), 'user 1000 (python3, pid 8) has overwritten 60 files with what looks like noise and renamed one within 0.4 s, as an attack would (/a, /b among them); '
    + '@before-mass-change-2026-11-23T03-21-53Z is the moment before');
  t.match(massChangeText({ ...incident, overwritten: 0, removed: 90, renamed: 0, files: 4980, pid: 0, command: '' }), /^user 1000 \(unknown program\) has removed or emptied 90 files within .*; 4,980 files until now; @before/);
  const stopped = { ...incident, held: Array.from({ length: 9 }, (_, pid) => ({ pid: pid + 10, startTicks: '1' })), pinFault: 'the disk is full' };
  t.match(massChangeText(stopped), /; stopped: 9 processes \(10, .*17, …\); txn-41 is the moment before, which could not be pinned: the disk is full$/);
  t.match(massChangeRemedy(stopped, '/srv'), /`tidemark restore \/srv --at txn-41`.*`tidemark alarms \/srv --release`/);
  t.notMatch(massChangeRemedy(stopped, '/srv'), /unpin/);
  t.match(massChangeRemedy(incident, '/srv'), /`tidemark log \/srv --since before-mass.*`tidemark unpin \/srv before-mass-change-2026-11-23T03-21-53Z`/);
});

t.test('what is remembered is read back; what cannot be read is forgotten', async (t) => {
  const store = t.testdir({});
  t.same(readMassChanges(store), { serial: 0, incidents: [] });
  await keepMassChanges(store, { serial: 5, incidents: [incident] });
  t.match(readMassChanges(store), { serial: 5, incidents: [incident] });
  writeFileSync(join(store, 'mass-changes.json'), '{"format":1,"serial":"x"}');
  t.same(readMassChanges(store), { serial: 0, incidents: [] });
});

t.test('a session is stopped with all its processes, and goes on', async (t) => {
  const uid = process.getuid?.() ?? 0;
  const leader = spawn('sh', ['-c', 'sleep 60 & sleep 60 & echo ready; wait'], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const other = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
  try {
    const session = leader.pid ?? 0;
    const group = { uid, session };
    await once(leader.stdout, 'data');
    const { held, fault } = stopGroup(group, [session, other.pid ?? 0]);
    t.same(held.map(({ pid }) => pid).includes(other.pid ?? 0), true, 'who made changes is stopped wherever it is');
    t.equal(held.length, 4);
    t.equal(fault, undefined);
    await until(() => held.every(({ pid }) => statOf(pid)?.[0] === 'T'), 'them to stop');
    t.equal(letGo([{ pid: session, startTicks: '1' }]).length, 0, 'another process of that number is left alone');
    t.equal(statOf(session)?.[0], 'T');
    t.equal(letGo(held).length, 4);
    await until(() => held.every(({ pid }) => statOf(pid)?.[0] !== 'T'), 'them to go on');
    t.same(stopGroup({ uid: uid + 1, session }, []).held, [], 'another user\'s are not meant');
  } finally {
    process.kill(-(leader.pid ?? 0), 'SIGKILL');
    other.kill('SIGKILL');
    await Promise.all([once(leader, 'exit'), once(other, 'exit')]);
  }
});

t.test('neither this process and its ancestors nor its session are ever stopped', async (t) => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const session = Number(statOf(process.pid)?.[3]);
  const { held } = stopGroup({ uid: process.getuid?.() ?? 0, session }, [process.pid, process.ppid, 1, 2, ...(session === 0 ? [] : [child.pid ?? 0])]);
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  t.same(held, []);
});
