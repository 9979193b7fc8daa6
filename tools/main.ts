#!/usr/bin/env node
/**
 * The command line. Each command is one file in commands/; here they are put together, and here, once, an error becomes a line
 * on stderr and an exit status (errors.ts).
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { describe } from './errors.js';
import { note } from './output.js';

type Add = (program: Command) => void;

/** Each command with what loads it: a command that runs loads no other. */
const commands: readonly (readonly [name: string, load: () => Promise<Add>])[] = [
  ['mount', async () => (await import('./commands/mount.js')).addMount],
  ['unmount', async () => (await import('./commands/unmount.js')).addUnmount],
  ['upgrade', async () => (await import('./commands/upgrade.js')).addUpgrade],
  ['status', async () => (await import('./commands/status.js')).addStatus],
  ['metrics', async () => (await import('./commands/metrics.js')).addMetrics],
  ['log', async () => (await import('./commands/log.js')).addLog],
  ['cat', async () => (await import('./commands/cat.js')).addCat],
  ['diff', async () => (await import('./commands/diff.js')).addDiff],
  ['ls', async () => (await import('./commands/ls.js')).addLs],
  ['restore', async () => (await import('./commands/restore.js')).addRestore],
  ['bin', async () => (await import('./commands/bin.js')).addBin],
  ['undelete', async () => (await import('./commands/undelete.js')).addUndelete],
  ['undo', async () => (await import('./commands/undo.js')).addUndo],
  ['pin', async () => (await import('./commands/pins.js')).addPin],
  ['unpin', async () => (await import('./commands/pins.js')).addUnpin],
  ['pins', async () => (await import('./commands/pins.js')).addPins],
  ['policy', async () => (await import('./commands/policy.js')).addPolicy],
  ['prune', async () => (await import('./commands/prune.js')).addPrune],
  ['backup', async () => (await import('./commands/backup.js')).addBackup],
  ['sync', async () => (await import('./commands/sync.js')).addSync],
  ['verify', async () => (await import('./commands/verify.js')).addVerify],
  ['alarms', async () => (await import('./commands/alarms.js')).addAlarms],
  ['samba', async () => (await import('./commands/samba.js')).addSamba],
  ['doctor', async () => (await import('./commands/doctor.js')).addDoctor],
  ['pair', async () => (await import('./commands/pair.js')).addPair],
  ['start', async () => (await import('./commands/start.js')).addStart],
];

const momentHelp = `
T, a moment, is what .snapshots/@T accepts: 2026-11-22T07-00-00Z (colons too, fractions too, local time without Z),
5m, 2h30m, yesterday, txn-1234, or the name of a pin. Exit status: 0 done, 1 could not, 2 wrong usage.`;

function version(): string {
  // From dist/tools/main.js.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** `first`: the first word after the program; help, and words that are no command, need to know all commands. */
async function build(first: string | undefined): Promise<Command> {
  const program = new Command('tidemark');
  program.description('Keeps every past moment of a directory, each an ordinary directory below .snapshots.').version(version());
  program.addHelpText('after', momentHelp).showHelpAfterError(false).helpCommand(true);
  // Errors are thrown, said once below; commander itself prints only help and version.
  program.exitOverride().configureOutput({ writeErr: () => undefined });
  const asked = commands.filter(([name]) => name === first);
  for (const [, load] of asked.length > 0 ? asked : commands) (await load())(program);
  return program;
}

async function main(): Promise<void> {
  // A reader that leaves early (`| head`) is told by the write that fails; see output.ts.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  const program = await build(process.argv[2]);
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
