/** `tidemark upgrade DIR`: lets a mounted volume be served by this version of the program. Applications wait meanwhile, and notice nothing else. */
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { withDaemon } from '../asking.js';
import { isWithin } from '../byte-path.js';
import { CommandError } from '../errors.js';
import { locate } from '../locate.js';
import { print } from '../output.js';
import type { StatusReply } from '../protocol.js';

/** How long the new daemon may take to answer commands; applications are served before. */
const longestStartMs = 60_000;
const askAgainMs = 100;

export function addUpgrade(program: Command): void {
  program.command('upgrade').description('go on with this version of the program, without unmounting').argument('<DIR>', 'the volume')
    .option('--json', 'print the result as JSON')
    .action(upgrade);
}

async function upgrade(argument: string, options: { readonly json?: true }): Promise<void> {
  const located = locate(argument);
  const before = await withDaemon(located, async (client) => {
    const status = await client.ask('status', {});
    if (!status.isKept) {
      throw new CommandError(`the mount of ${status.directory} ends with its daemon, which cannot be exchanged`, `\`tidemark unmount ${status.directory}\` and mount it again`);
    }
    // Loaded here, so that all other commands start without it.
    const { addon } = await import('../../native/index.js');
    if (status.keptLayout !== addon.keptLayout) {
      throw new CommandError(`this version cannot go on with the mount of the one that serves ${status.directory}`, `\`tidemark unmount ${status.directory}\` and mount it again`);
    }
    const daemon = fileURLToPath(new URL('../daemon.js', import.meta.url));
    if ([process.execPath, daemon].some((path) => isWithin(path, status.mountpoint))) {
      throw new CommandError(`this version lies in ${status.mountpoint}, from which nothing can be read while daemons are exchanged`, 'install it elsewhere, or unmount the volume and mount it again');
    }
    await client.ask('upgrade', { program: [process.execPath, ...process.execArgv, daemon] });
    await client.closed;
    return status;
  });
  const status = await nextDaemon(argument, before);
  const { count, why = '', pauseMs = 0 } = status.restarts;
  if (why !== 'upgrade') throw new CommandError(`${before.directory} is served, but not by this version: ${why}`, `look into ${before.log}`);
  const { directory, pid } = status;
  await print(options.json ? `${JSON.stringify({ directory, pid, restarts: count, pauseMs })}\n` : `${directory} is served by the new daemon ${pid}; applications waited for ${(pauseMs / 1000).toFixed(2)} s\n`);
}

/** How the volume stands once another daemon serves it. */
async function nextDaemon(argument: string, before: StatusReply): Promise<StatusReply> {
  const untilMs = Date.now() + longestStartMs;
  for (;;) {
    try {
      const status = await withDaemon(locate(argument), (client) => client.ask('status', {}));
      if (status.restarts.count > before.restarts.count) return status;
    } catch (error) {
      if (Date.now() > untilMs) throw error;
    }
    if (Date.now() > untilMs) throw new CommandError(`the new daemon of ${before.directory} does not answer`, `look into ${before.log}`);
    await sleep(askAgainMs);
  }
}
