/** Mass changes of a real mount: attacks are noticed within the first hundred files, the moment before is pinned, and the processes are stopped where that is wanted. */
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { ControlClient } from '../../tools/control-client.js';
import type { RegistryEntry } from '../../tools/registry.js';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { until } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';
import { attacks, begin, changedIn, end, filesInAll, makeFiles, nextTold, pinOf, told } from './mass-change.js';

t.setTimeout(240_000);

/** Each attack goes through files that no other one has touched. */
const share = 330;

async function connect({ runtime }: Mount): Promise<ControlClient> {
  const name = readdirSync(runtime).find((file) => file.endsWith('.json')) ?? '';
  return ControlClient.connect(JSON.parse(readFileSync(join(runtime, name), 'utf8')) as RegistryEntry);
}

/** Files that differ between a pin and a time. */
async function damageUntil(client: ControlClient, pin: string, time: string): Promise<number> {
  const [from, to] = await Promise.all([pin, time].map((text) => client.ask('moment', { text })));
  const changed = await client.askAll('diff', { path: '/', from: from?.txid ?? '', to: to?.txid ?? '' });
  // An encrypted copy beside a file is no damage of its own.
  return changed.filter(({ path }) => !/\.(?:enc|tmp)$/.test(path)).length;
}

async function noticed(t: Test, mount: Mount): Promise<void> {
  const client = await connect(mount);
  const pins: string[] = [];
  for (const [index, { name, command }] of attacks.entries()) {
    const attack = begin(mount, command(index * share));
    try {
      const message = await nextTold(mount, index);
      await end(attack);
      const pin = pinOf(message);
      pins.push(pin);
      await until(async () => (await client.ask('pins', {})).pins.some((one) => one.name === pin), 'the pin');
      const damage = await damageUntil(client, pin, message.time);
      t.ok(damage >= 30 && damage <= 100, `${name}: ${damage} files when it was told`);
      t.match(message.remedy, new RegExp(`tidemark restore ${mount.directory} --at ${pin}`));
    } finally {
      await end(attack);
    }
  }
  client.close();
  t.equal(changedIn(mount.path('.snapshots', `@${pins[0]}`)), 0, 'the first pin shows every file as it was');
  t.equal(told(mount).length, attacks.length, 'each is told once');
}

function isStopped(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.charAt(stat.lastIndexOf(')') + 2) === 'T';
}

/** `index`: of the attack. All files that it finds from a number on. Gives the pin. */
async function held(t: Test, mount: Mount, index: number, from: number): Promise<string> {
  const before = told(mount).length;
  const damagedBefore = changedIn(mount.mountpoint, from);
  const { name, command } = attacks[index]!;
  const attack = begin(mount, command(from));
  try {
    const message = await nextTold(mount, before);
    t.match(message.text, new RegExp(`stopped: \\d+ process(?:es)? .*\\b${attack.pid}\\b`));
    t.match(message.remedy, /--release/);
    await until(() => isStopped(attack.pid ?? 0), 'it to be stopped');
    const damage = changedIn(mount.mountpoint, from) - damagedBefore;
    t.ok(damage >= 60 && damage <= 100, `${name}: ${damage} files are lost`);
    const exited = once(attack, 'exit');
    t.match(await mount.cliWell('alarms', mount.directory, '--release'), /process(?:es)? goe?s? on/);
    await exited;
    t.equal(attack.exitCode, 0, 'it goes on when it is released');
    t.equal(changedIn(mount.mountpoint, from), filesInAll - from);
    t.equal(told(mount).length, before + 1, 'and is not held again');
    return pinOf(message);
  } finally {
    await end(attack);
  }
}

void t.test('an attack on 5,000 files is noticed, and held', { skip: await unlessInstalled('python3') }, async (t) => {
  await withMount(t, { prepare: makeFiles }, async (mount) => {
    await t.test('noticed within the first hundred files', (t) => noticed(t, mount));
    await t.test('held, and released', async (t) => {
      await mount.cliWell('alarms', mount.directory, '--mass-change', 'hold');
      const from = filesInAll - 300;
      await held(t, mount, 10, filesInAll - 150);
      const pin = await held(t, mount, 6, from);
      await mount.cliWell('restore', mount.directory, '--at', pin);
      t.equal(changedIn(mount.mountpoint, from), 150, 'what the pin keeps comes back');
      t.equal(told(mount).length, attacks.length + 2, 'which is no mass change');
      t.match(await mount.cliWell('alarms', mount.directory, '--release'), /nothing is stopped/);
      t.match(await mount.cliWell('alarms', mount.directory, '--acknowledge'), /1 alarm acknowledged/);
    });
    await t.test('what is stopped can go on after the death of the daemon, too', async (t) => {
      const attack = begin(mount, attacks[0]!.command(filesInAll - share));
      try {
        await nextTold(mount, attacks.length + 2);
        await until(() => isStopped(attack.pid ?? 0), 'it to be stopped');
        await until(() => mount.daemonLog().split('is pinned').length > attacks.length + 3, 'the pin');
        await mount.kill9();
        await mount.mount();
        t.match(await mount.cliWell('alarms', mount.directory), /ALARM {5}mass-change: .*stopped: 1 process/, 'the alarm is still raised');
        const exited = once(attack, 'exit');
        t.match(await mount.cliWell('alarms', mount.directory, '--release'), /1 process goes on/);
        await exited;
        await mount.cliWell('alarms', mount.directory, '--acknowledge');
      } finally {
        await end(attack);
      }
    });
    await t.test('off is off', async (t) => {
      const [shown] = await mount.json('alarms', mount.directory, '--mass-change', 'off', '--mass-change-files', '200');
      t.match(shown, { massChange: { mode: 'off', files: 200 }, alarms: [{ alarm: 'mass-change', acknowledged: true }] });
      const before = told(mount).length;
      const attack = begin(mount, attacks[6]!.command(filesInAll - 300));
      await once(attack, 'exit');
      t.equal(changedIn(mount.mountpoint, filesInAll - 300), 300);
      t.equal(told(mount).length, before);
      isRefusal(t, await mount.cli('alarms', mount.directory, '--mass-change', 'kill'), /Allowed choices are off, alarm, hold/, 2);
      isRefusal(t, await mount.cli('alarms', mount.directory, '--mass-change-files', '5'), /from 10 to 10000/, 2);
    });
  });
});
