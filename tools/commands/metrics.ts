/** `tidemark metrics [DIR]`: what status knows, and how long requests took, for Prometheus; without DIR, of all mounted volumes. */
import type { Command } from 'commander';
import { askStatus, withDaemon } from '../asking.js';
import { locate } from '../locate.js';
import { print } from '../output.js';
import { liveEntries } from '../registry.js';
import type { StatusReply } from '../protocol.js';

export function addMetrics(program: Command): void {
  program.command('metrics').description('sizes, counts and latencies as Prometheus text; without DIR, of all mounted volumes').argument('[DIR]', 'the volume').action(metrics);
}

async function metrics(argument: string | undefined): Promise<void> {
  const volumes: StatusReply[] = [];
  if (argument !== undefined) volumes.push(await withDaemon(locate(argument), (client) => client.ask('status', {})));
  else for (const entry of liveEntries()) volumes.push(await askStatus(entry));
  // Loaded here, so that commands that print no metrics start quickly.
  const { exposition } = await import('../exposition.js');
  await print(await exposition(volumes));
}
