/**
 * Two daemons in two network namespaces: the cable is cut, in each direction alone and in both, processes are killed or stand still, and afterwards both must have the same history. In: random numbers.
 * Throws with what differs, and the log of that.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cable } from '../support/namespaces.js';
import { caughtUp, differences, killReceiver, standingOf, verifyBoth, withPair, withStoppedReceiver } from '../support/pair.js';
import type { Mount } from '../support/mount.js';
import type { Pair } from '../support/pair.js';
import { until } from '../support/processes.js';
import { RandomTree } from '../support/random-tree.js';
import type { Random } from '../support/seed.js';

/** Longer than a connection may be silent. */
const stoppedMostMs = 15_000;

/** Returns what was done, in a line. `listener` hears the daemons' logs when it throws. */
export async function cableRound(listener: { comment(...words: unknown[]): void }, random: Random): Promise<string> {
  let last = 0;
  await Cable.with((cable) => withPair(listener, { places: cable.places, prepare: (directory) => { writeFileSync(`${directory}/file`, 'first'); } }, async (pair) => {
    await caughtUp(pair.primary);
    const base = Number((await standingOf(pair.standby)).txid);
    await workThroughFaults(cable, pair, random);
    await caughtUp(pair.primary, 120_000);
    await compareLive(pair);
    last = Number((await standingOf(pair.primary)).txid);
    for (let txid = base; txid <= last; txid += 1 + random.below(20)) compare(pair, ['.snapshots', `@txn-${txid}`], `transaction ${txid}`);
    await verifyBoth(pair);
  }));
  return `pair: ${last} transactions through cuts of the cable and deaths of either daemon`;
}

async function workThroughFaults(cable: Cable, { primary, standby }: Pair, random: Random): Promise<void> {
  const tree = new RandomTree(primary.mountpoint, random);
  const faults: readonly (() => Promise<void>)[] = [
    () => cable.cut(),
    () => cable.cutFrom(0),
    () => cable.cutFrom(1),
    () => killReceiver(standby),
    () => withStoppedReceiver(standby, () => sleep(random.below(stoppedMostMs))),
    () => standsStill(primary.pid, random.below(stoppedMostMs)),
    () => nextDaemon(standby),
    () => nextDaemon(primary),
    async () => { await standby.kill9(); await standby.mount(); },
    async () => { await primary.kill9(); await primary.mount(); },
  ];
  for (const fault of faults) {
    for (let count = 0; count < 60; count++) tree.change();
    await fault();
    for (let count = 0; count < 40; count++) tree.change();
    await sleep(random.below(500));
    await cable.mend();
  }
}

/** The daemon is killed alone: the keeper starts another one, which goes on with the mount. */
async function nextDaemon(mount: Mount): Promise<void> {
  const pid = mount.killDaemon();
  await until(() => mount.registered().pid !== pid, 'another daemon');
  mount.adopt();
}

async function standsStill(pid: number, ms: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  try {
    await sleep(ms);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

async function compareLive({ primary, standby }: Pair): Promise<void> {
  const different = differences(primary.mountpoint, standby.mountpoint);
  const logs: string[] = [];
  for (const line of different) {
    const name = line.split(':')[0]!;
    for (const mount of [primary, standby]) logs.push(await mount.cliWell('log', mount.path(name)));
  }
  if (different.length > 0) throw new Error(`the live trees differ: ${different.join('; ')}\n${logs.join('\n')}`);
}

function compare({ primary, standby }: Pair, names: readonly string[], what: string): void {
  const different = differences(primary.path(...names), standby.path(...names));
  if (different.length > 0) throw new Error(`${what} differs: ${different.join('; ')}`);
}
