#!/usr/bin/env node
/**
 * The command line. Each command is one file in commands/; here they are put together, and here, once, an error becomes a line
 * on stderr and an exit status (errors.ts).
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addAlarms } from './commands/alarms.js';
import { addCat } from './commands/cat.js';
import { addDiff } from './commands/diff.js';
import { addLog } from './commands/log.js';
import { addLs } from './commands/ls.js';
import { addMetrics } from './commands/metrics.js';
import { addMount } from './commands/mount.js';
import { addPin, addPins, addUnpin } from './commands/pins.js';
import { addPolicy } from './commands/policy.js';
import { addPrune } from './commands/prune.js';
import { addRestore } from './commands/restore.js';
import { addStart } from './commands/start.js';
import { addStatus } from './commands/status.js';
import { addUnmount } from './commands/unmount.js';
import { addVerify } from './commands/verify.js';
import { describe } from './errors.js';
import { note } from './output.js';

const momentHelp = `
T, a moment, is what .snapshots/@T accepts: 2026-11-22T07-00-00Z (colons too, fractions too, local time without Z),
5m, 2h30m, yesterday, txn-1234, or the name of a pin. Exit status: 0 done, 1 could not, 2 wrong usage.`;

function version(): string {
  // From dist/tools/main.js.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function build(): Command {
  const program = new Command('tidemark');
  program.description('Keeps every past moment of a directory, each an ordinary directory below .snapshots.').version(version());
  program.addHelpText('after', momentHelp).showHelpAfterError(false).helpCommand(true);
  // Errors are thrown, said once below; commander itself prints only help and version.
  program.exitOverride().configureOutput({ writeErr: () => undefined });
  for (const add of [addMount, addUnmount, addStatus, addMetrics, addLog, addCat, addDiff, addLs, addRestore, addPin, addUnpin, addPins, addPolicy, addPrune, addVerify, addAlarms, addStart]) add(program);
  return program;
}

async function main(): Promise<void> {
  // A reader that leaves early (`| head`) is told by the write that fails; see output.ts.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  const program = build();
  if (process.argv.length <= 2) {
    await note(program.helpInformation() + momentHelp);
    process.exitCode = 2;
    return;
  }
  try {
    await program.parseAsync();
  } catch (error) {
    const { status, line } = describe(error);
    process.exitCode = status;
    if (line !== '') await note(line);
  }
}

await main();
