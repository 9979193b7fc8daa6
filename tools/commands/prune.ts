/** `tidemark prune DIR [--dry-run]`: gives up what the policy no longer keeps. */
import type { Command } from 'commander';
import { withDaemon } from '../asking.js';
import { counted, jsonTime, localTime, sizeText } from '../format.js';
import { locate } from '../locate.js';
import { print } from '../output.js';
import type { FloorItem, PruneReply } from '../protocol.js';

interface PruneOptions {
  readonly dryRun?: true;
  readonly json?: true;
}

export function addPrune(program: Command): void {
  program.command('prune').description('give up the moments that the policy no longer keeps').argument('<DIR>', 'the volume')
    .option('--dry-run', 'only say what would go').option('--json', 'print JSON')
    .action(prune);
}

async function prune(directory: string, options: PruneOptions): Promise<void> {
  const dryRun = options.dryRun === true;
  const done = await withDaemon(locate(directory), (client) => client.ask('prune', { dryRun }));
  await print(options.json ? json(done, dryRun) : text(done, dryRun));
}

function json({ judged, gone, takesTooMuch, oldestNs, floors, bytes }: PruneReply, dryRun: boolean): string {
  const files = floors.map(({ youngerThanNs, objectBytes, ...rest }) => ({ ...rest, objectBytes: Number(objectBytes), youngerThan: youngerThanNs === undefined ? null : jsonTime(BigInt(youngerThanNs)) }));
  return `${JSON.stringify({ dryRun, judged, gone, takesTooMuch, oldest: jsonTime(BigInt(oldestNs)), bytes: Number(bytes), files })}\n`;
}

function text(reply: PruneReply, dryRun: boolean): string {
  if (!reply.takesTooMuch) return whatGoes(reply, dryRun);
  const more = dryRun ? 'the oldest moments go as well, until it does not' : 'what is left is too young, pinned or in use';
  return `${whatGoes(reply, dryRun)}history takes more of the disk than the policy allows: ${more}\n`;
}

function whatGoes({ gone, oldestNs, floors, bytes }: PruneReply, dryRun: boolean): string {
  if (gone === 0 && floors.length === 0) return 'nothing to give up: all moments are kept by the policy\n';
  const size = sizeText(BigInt(bytes) + floors.reduce((sum, { objectBytes }) => sum + BigInt(objectBytes), 0n));
  const freed = dryRun ? `${size} would come free` : `${size} of the disk came free`;
  const moments = gone === 0 ? '' : `${counted(gone, 'moment')} ${dryRun ? 'would go' : 'gone'}; `;
  return [`${moments}${freed}; history reaches back to ${localTime(BigInt(oldestNs))}\n`, ...floors.map(ofFiles)].join('');
}

/** "of 12 files (/db=3d) only what is younger than … stays, 3 deleted or replaced ones of 1.2 MiB go whole" */
function ofFiles({ rules, files, youngerThanNs, objects, objectBytes }: FloorItem): string {
  const [rule = ''] = rules;
  const limit = rule.slice(rule.lastIndexOf('=') + 1);
  const stays = youngerThanNs !== undefined ? `only what is younger than ${localTime(BigInt(youngerThanNs))} stays`
    : rules.length > 1 ? 'only what one of these rules keeps stays' : limit === 'none' ? 'no history stays' : `only the newest ${limit} stay`;
  const whole = objects === 0 ? '' : `, ${counted(objects, 'deleted or replaced one')} of ${sizeText(BigInt(objectBytes))} ${objects === 1 ? 'goes' : 'go'} whole`;
  return `of ${counted(files, 'file')} (${rules.join(', ')}) ${stays}${whole}\n`;
}
