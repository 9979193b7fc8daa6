/** `tidemark prune DIR [--dry-run]`: gives up what the policy no longer keeps. */
import type { Command } from 'commander';
import { withDaemon } from '../asking.js';
import { counted, jsonTime, localTime, sizeText } from '../format.js';
import { locate } from '../locate.js';
import { print } from '../output.js';
import type { PruneReply } from '../protocol.js';

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

function json({ judged, gone, takesTooMuch, oldestNs, bytes }: PruneReply, dryRun: boolean): string {
  return `${JSON.stringify({ dryRun, judged, gone, takesTooMuch, oldest: jsonTime(BigInt(oldestNs)), bytes: Number(bytes) })}\n`;
}

function text(reply: PruneReply, dryRun: boolean): string {
  if (!reply.takesTooMuch) return whatGoes(reply, dryRun);
  const more = dryRun ? 'the oldest moments go as well, until it does not' : 'what is left is too young, pinned or in use';
  return `${whatGoes(reply, dryRun)}history takes more of the disk than the policy allows: ${more}\n`;
}

function whatGoes({ gone, oldestNs, bytes }: PruneReply, dryRun: boolean): string {
  if (gone === 0) return 'nothing to give up: all moments are kept by the policy\n';
  const size = sizeText(BigInt(bytes));
  const what = dryRun ? `would go, and ${size} that only they need` : `gone; ${size} of the disk came free`;
  return `${counted(gone, 'moment')} ${what}; history reaches back to ${localTime(BigInt(oldestNs))}\n`;
}
