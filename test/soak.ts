/**
 * Soaks the program: model runs, crashes and (as root) power cuts, also of the intent log and of applications, full disks, syncs that are killed, and pairs whose cable is cut, with ever new seeds until the time is over or
 * something differs. Usage: `npm run soak -- [MINUTES] [model|crash|sync|keeper|power|intent|apps|full-disk|pair|churn|power-xfs|power-btrfs]` (default 60, and the first nine in turn). The first
 * difference ends it with the seed on the last line; TIDEMARK_SEED starts from it.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fullDiskRound } from './full-disk/round.js';
import { keeperRound } from './keeper/round.js';
import { Model, runModel } from './model/run.js';
import { cableRound } from './pair/cable-round.js';
import { fullStandbyRound } from './pair/full-standby.js';
import { cutApplications, cutApplicationsQuickly, withApplications } from './power/apps/app-round.js';
import type { Working } from './power/apps/app-round.js';
import { told } from './power/cuts.js';
import type { CutResult } from './power/cuts.js';
import { cutQuickly, cutRecoveryQuickly, withCommits, withRolls } from './power/intent-round.js';
import { quickSummary } from './power/quick-cuts.js';
import type { QuickResult } from './power/quick-cuts.js';
import type { FileSystem } from './power/recording-disk.js';
import { exactHistory } from './power/recording.js';
import { runRound, summary } from './power/round.js';
import { syncRounds } from './replica/sync-rounds.js';
import { churn, growth } from './support/churn.js';
import { compile } from './support/compile.js';
import { withMount } from './support/mount.js';
import type { Mount } from './support/mount.js';
import { isRoot } from './support/places.js';
import { withoutPostgresql } from './support/postgresql.js';
import { chooseSeed, Random } from './support/seed.js';

const failpoints = ['log-append', 'after-undo', 'after-act', 'before-end', 'after-end', 'object-move', 'rename-exchange'];
const mountOptions = [[], [], ['--every-write'], ['--history=relaxed'], ['--interval=20ms']];

const listener = { comment: (...words: unknown[]): void => console.error(...words) };
const otherUser = isRoot ? 61001 : undefined;

async function modelRound(random: Random): Promise<string> {
  const lanes = random.below(4);
  const options = random.pick(mountOptions);
  let count = 0;
  await withMount(listener, { arguments: options, apart: random.oneIn(2) }, async (mount) => {
    count = await runModel(mount, { seed: random.below(2 ** 32), lanes, uids: [undefined, undefined, otherUser], batches: 1 + random.below(4), batchSize: 100 + random.below(200) });
  });
  return `model: ${count} operations in ${Math.max(1, lanes)} trees ${options.join(' ')}`;
}

async function crashRound(random: Random): Promise<string> {
  const crashes: string[] = [];
  await withMount(listener, {}, async (mount) => {
    await Model.with(mount, { seed: random.below(2 ** 32), lanes: random.below(4), uids: [undefined, otherUser], isCalm: true }, async (model) => {
      for (let round = 0; round < 4; round += 1) {
        crashes.push(await crash(mount, model, random));
        await model.recover();
      }
    });
  });
  return `crashes: ${crashes.join(', ')}`;
}

async function syncRound(random: Random): Promise<string> {
  const { kills } = await syncRounds(random, 40);
  return `sync: ${kills} runs were killed`;
}

/** Lets the daemon die at a labelled step or at any moment; tells which. */
async function crash(mount: Mount, model: Model, random: Random): Promise<string> {
  if (random.oneIn(2)) {
    const killed = sleep(random.below(1500)).then(() => mount.kill9());
    await model.workUntilDead(1_000_000);
    await killed;
    return 'kill -9';
  }
  const label = `${random.pick(failpoints)}:${1 + random.below(20)}`;
  await model.close();
  await mount.unmount();
  await mount.mount({ TIDEMARK_FAILPOINT: label });
  await model.open();
  await model.workUntilDead(5000);
  return label;
}

const powerOptions = [[], [], ['--every-write'], ['--interval=20ms'], [exactHistory]];

async function powerRound(random: Random, fileSystem: FileSystem = 'ext4'): Promise<string> {
  const options = random.pick(powerOptions);
  const results = await runRound(listener, {
    seed: random.below(2 ** 32), lanes: 1 + random.below(6), steps: 20 + random.below(120), batches: 4, cutsEach: 10, cutsOfRecovery: 10, arguments: options, fileSystem,
  });
  complain(results);
  return `power on ${fileSystem}: ${summary(results)} ${options.join(' ')}`;
}

/** Thousands of quick cuts; once in a while the log rolls while intents are outstanding, which takes large images. */
async function intentRound(random: Random): Promise<string> {
  const options = random.pick(powerOptions);
  const results: QuickResult[] = [];
  if (random.oneIn(6)) {
    await withRolls(listener, random.below(2 ** 32), async (recording, own) => void results.push(...(await cutQuickly(recording, 100, own))));
  } else {
    const work = { seed: random.below(2 ** 32), lanes: 1 + random.below(5), steps: 6 + random.below(20), arguments: options };
    await withCommits(listener, work, async (recording, own) => {
      results.push(...(await cutQuickly(recording, 600, own)));
      for (let count = 0; count < 2; count += 1) results.push(...(await cutRecoveryQuickly(listener, recording, 100, own)));
    });
  }
  complain(results);
  return `intent log: ${quickSummary(results)} ${options.join(' ')}`;
}

const workings: readonly (readonly Working[])[] = [['sqlite'], ['sqlite'], ['pages'], ['pages'], ['editors'], ['editors', 'sqlite'], ['pages', 'editors', 'sqlite']];

/** Hundreds of quick cuts of applications; once in a while it is PostgreSQL itself, which takes seconds to start after each. */
async function applicationsRound(random: Random): Promise<string> {
  const options = random.pick(powerOptions);
  const isPostgresql = withoutPostgresql === false && random.oneIn(8);
  const working: readonly Working[] = isPostgresql ? ['postgresql'] : random.pick(workings);
  const [quickCount, recoveryCount] = isPostgresql ? [40, 10] : [400, 60];
  const results: QuickResult[] = [];
  const round = { seed: random.below(2 ** 32), steps: 15 + random.below(60), sessions: 1 + random.below(2), arguments: options };
  await withApplications(listener, working, round, async (recording, own) => {
    results.push(...(await cutApplicationsQuickly(recording, quickCount, own)), ...(await cutRecoveryQuickly(listener, recording, recoveryCount, own)));
    complain(await cutApplications(listener, recording, 4, own));
  });
  complain(results);
  return `${working.join(', ')}: ${quickSummary(results)} ${options.join(' ')}`;
}

/** One volume, ten million transactions, the default ladder with a day as a minute: as long as that takes. */
async function churnRound(): Promise<string> {
  let sizes: readonly number[] = [];
  await withMount(listener, { apart: true }, async (mount) => {
    const workload = join(mount.place, 'workload');
    await compile(['bench/workload.c'], workload);
    sizes = await churn(mount, { transactions: 10_000_000, perRound: 100_000, ladder: '60s:all,7m:1s,30m:10s,forever:1m', workload });
  });
  const fault = growth(sizes);
  if (fault !== undefined) throw new Error(fault);
  return `churn: the index took ${sizes.map((bytes) => Math.round(bytes / 2 ** 20)).join(' ')} MiB`;
}

function complain(results: readonly (CutResult | QuickResult)[]): void {
  const bad = results.filter(({ complaints }) => complaints.length > 0);
  if (bad.length > 0) throw new Error(bad.map((result) => `${told(result)}\n${result.complaints.join('\n')}`).join('\n'));
}

type Round = (random: Random) => Promise<string>;

const rootRounds: readonly (readonly [string, Round])[] = [['keeper', (random) => keeperRound(listener, random.pick(mountOptions), random)], ['power', powerRound], ['intent', intentRound], ['apps', applicationsRound], ['full-disk', (random) => fullDiskRound(listener, random)], ['pair', (random) => random.oneIn(4) ? fullStandbyRound(listener) : cableRound(listener, random)]];
const rounds = new Map<string, Round>([['model', modelRound], ['crash', crashRound], ['sync', syncRound], ...(isRoot ? rootRounds : [])]);
/** Only when asked for: the first takes very long, the others are not clean yet (docs/ARCHITECTURE.md, What each return means). */
const furtherRounds = new Map<string, Round>([
  ['churn', churnRound],
  ['power-xfs', (random) => powerRound(random, 'xfs')],
  ['power-btrfs', (random) => powerRound(random, 'btrfs')],
]);

async function soak(minutes: number, kinds: readonly string[]): Promise<void> {
  const end = Date.now() + minutes * 60_000;
  for (let seed = chooseSeed(); Date.now() < end; seed = (seed + 1) >>> 0) {
    const random = new Random(seed);
    try {
      const kind = random.pick(kinds);
      const round = rounds.get(kind) ?? furtherRounds.get(kind);
      console.log(`${new Date().toISOString()} seed ${seed}: ${await round?.(random)}`);
    } catch (error) {
      console.error(error);
      console.error(`TIDEMARK_SEED=${seed}`);
      process.exitCode = 1;
      return;
    }
  }
}

const minutes = Number(process.argv[2] ?? 60);
if (!(minutes > 0)) throw new RangeError(`a number of minutes, not ${process.argv[2]}`);
const only = process.argv[3];
const known = [...rounds.keys(), ...furtherRounds.keys()];
if (only !== undefined && !known.includes(only)) throw new RangeError(`one of ${known.join(', ')}, not ${only}`);
await soak(minutes, only === undefined ? [...rounds.keys()] : [only]);
