/** `tidemark policy DIR [--ladder …]`: what a volume keeps, and for how long. */
import type { Command } from 'commander';
import { collect } from '../arguments.js';
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
  readonly versions?: string;
  readonly keep: readonly string[];
  readonly unkeep: readonly string[];
  readonly forLater?: true;
  readonly reset?: true;
  readonly json?: true;
}

const ladderHelp = `
The ladder says for which ages moments lie how far apart: AGE:DISTANCE,… from the youngest to the oldest. AGE is a time (90s, 15m, 24h, 7d, 2w, 6mo, 1y)
or "forever"; DISTANCE is a time or "all". Pins always stay, and what was changed last.

--keep says it of some files: PATTERN=LIMIT, where LIMIT is "none" (no history at all, from the next mount on), a time (nothing older), or "20 versions" (besides the file as it is).
PATTERN is a glob: without a slash it names files and directories anywhere, with one by their path from the volume's root; of a directory it means all below. Where several
rules speak of a file, what one of them keeps stays.`;

export function addPolicy(program: Command): void {
  program.command('policy').description('what is kept, and for how long; shows it, or changes it').argument('<DIR>', 'the volume')
    .option('--ladder <rungs>', 'moments by age, as 24h:all,7d:1m,30d:1h,1y:1d,forever:1mo')
    .option('--disk-share <percent>', 'history takes no more of the disk than this, as 30%')
    .option('--at-least <time>', 'what is younger stays whatever the disk, as 1h')
    .option('--versions <count>', 'so many versions of each file that no rule of its own speaks of, or "all"')
    .option('--keep <rule>', "how long to keep some files, as '*.tmp=none', '/db=3d', '*.log=20 versions' (may be repeated)", collect, [])
    .option('--unkeep <pattern>', 'take back the rule for a pattern (may be repeated)', collect, [])
    .option('--for-later', 'patterns may match files that are still to come')
    .option('--reset', 'back to the defaults').option('--json', 'print JSON').addHelpText('after', ladderHelp)
    .action(policy);
}

async function policy(directory: string, { reset, json, keep, unkeep, forLater, ...parts }: PolicyOptions): Promise<void> {
  const change = { ...parts, ...(keep.length > 0 ? { keep: [...keep] } : {}), ...(unkeep.length > 0 ? { unkeep: [...unkeep] } : {}), ...(forLater ? { files: 'later' as const } : {}) };
  const changes = Object.keys(change).length > 0;
  if (forLater && keep.length === 0) throw new UsageError('--for-later goes with --keep');
  if (reset && changes) throw new UsageError('--reset takes everything back; give it alone');
  const request = reset ? { change: 'reset' as const } : changes ? { change } : {};
  const now = await withDaemon(locate(directory), (client) => client.ask('policy', request));
  await print(json ? `${JSON.stringify(now)}\n` : text(now));
}

function text({ ladder, diskShare, atLeast, versions, keep, notes }: PolicyReply): string {
  const rows = [['ladder', ladder], ['disk share', diskShare], ['at least', atLeast], ['versions', versions], ...keep.map((rule) => ['keep', rule]), ...notes.map((note) => ['note', note])];
  return table(rows);
}
