/** `tidemark policy DIR [--ladder …]`: what a volume keeps, and for how long. */
import type { Command } from 'commander';
import { withDaemon } from '../asking.js';
import { UsageError } from '../errors.js';
import { table } from '../format.js';
import { locate } from '../locate.js';
import { print } from '../output.js';
import type { PolicyReply } from '../protocol.js';

interface PolicyOptions {
  readonly ladder?: string;
  readonly diskShare?: string;
  readonly atLeast?: string;
  readonly reset?: true;
  readonly json?: true;
}

const ladderHelp = `
The ladder says for which ages moments lie how far apart: AGE:DISTANCE,… from the youngest to the oldest. AGE is a time (90s, 15m, 24h, 7d, 2w, 6mo, 1y)
or "forever"; DISTANCE is a time or "all". Pins always stay, and what was changed last.`;

export function addPolicy(program: Command): void {
  program.command('policy').description('what is kept, and for how long; shows it, or changes it').argument('<DIR>', 'the volume')
    .option('--ladder <rungs>', 'moments by age, as 24h:all,7d:1m,30d:1h,1y:1d,forever:1mo')
    .option('--disk-share <percent>', 'history takes no more of the disk than this, as 30%')
    .option('--at-least <time>', 'what is younger stays whatever the disk, as 1h')
    .option('--reset', 'back to the defaults').option('--json', 'print JSON').addHelpText('after', ladderHelp)
    .action(policy);
}

async function policy(directory: string, { reset, json, ...change }: PolicyOptions): Promise<void> {
  const changes = Object.keys(change).length > 0;
  if (reset && changes) throw new UsageError('--reset takes everything back; give it alone');
  const request = reset ? { change: 'reset' as const } : changes ? { change } : {};
  const now = await withDaemon(locate(directory), (client) => client.ask('policy', request));
  await print(json ? `${JSON.stringify(now)}\n` : text(now));
}

function text({ ladder, diskShare, atLeast }: PolicyReply): string {
  return table([['ladder', ladder], ['disk share', diskShare], ['at least', atLeast]]);
}
