/**
 * A round for the soak: the daemon dies again and again under applications that must not notice. Options of `mount` and randomness come in, a line comes out.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { withMount } from '../support/mount.js';
import { until } from '../support/processes.js';
import type { Random } from '../support/seed.js';
import { Applications, everyRole, startMs } from './applications.js';

/** Tells how it went. Throws with what the applications complain of. */
export async function keeperRound(listener: { comment(...words: unknown[]): void }, options: readonly string[], random: Random): Promise<string> {
  const kills = 5 + random.below(20);
  let longestMs = 0;
  await withMount(listener, { arguments: options, apart: random.oneIn(2) }, async (mount) => {
    const roles = Array.from({ length: 2 + random.below(8) }, () => random.pick(everyRole.filter((role) => role !== 'past')));
    const applications = await Applications.start(mount, [...roles, 'past'], random);
    for (let killed = 0; killed < kills && applications.ended().length === 0; killed += 1) {
      await sleep(100 + random.below(4000));
      const pid = mount.killDaemon();
      await until(() => mount.registered().pid !== pid, 'another daemon');
    }
    const told = await applications.finish();
    const complaints = told.filter(({ complaint }) => complaint !== '').map(({ role, complaint }) => `${role}: ${complaint}`);
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
    longestMs = Math.max(...told.filter(({ role }) => role !== 'past').map((one) => one.longestMs));
    await mount.cliWell('verify', mount.directory);
  });
  return `keeper: ${kills} kills, the longest step took ${longestMs} ms, a bare start of Node takes ${Math.round(await startMs())} ms ${options.join(' ')}`;
}
