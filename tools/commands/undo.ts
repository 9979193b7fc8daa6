/**
 * `tidemark undo DIR --by-user U | --by-pid P | --by-command C --since T`: takes back exactly those changes and leaves other people's alone.
 *
 * Invariants:
 * 1. Nothing is done that was not shown; when something has changed in between, nothing is done.
 * 2. With conflicts nothing is done, unless --skip-conflicts leaves them as they are.
 * 3. It is one transaction of its own (as far as the daemon can hold one open), so it can be undone.
 */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { actorOf, addActorOptions } from '../actor-options.js';
import type { ActorOptions } from '../actor-options.js';
import { withDaemon } from '../asking.js';
import type { ControlClient } from '../control-client.js';
import { CommandError, UsageError } from '../errors.js';
import { counted } from '../format.js';
import { locate } from '../locate.js';
import type { Located } from '../locate.js';
import { note, print } from '../output.js';
import type { Parameters } from '../protocol.js';
import type { UndoConflictItem, UndoStepItem } from '../recovery-protocol.js';
import { quoted, tellShortfall, thisProcess, untilStopped } from '../restore/carry-out.js';
import { actUndo } from '../undo/act.js';
import type { UndoOutcome } from '../undo/act.js';
import { jsonConflict, jsonStep, shownConflict, shownSteps } from '../undo/show.js';

const mostConflictsShown = 50;

interface UndoOptions extends ActorOptions {
  readonly since: string;
  readonly until?: string;
  readonly dryRun?: true;
  readonly skipConflicts?: true;
  readonly yes?: true;
  readonly json?: true;
}

interface Proposal {
  readonly steps: readonly UndoStepItem[];
  readonly conflicts: readonly UndoConflictItem[];
  /** With the moments as transactions, so that it means the same when it is asked again. */
  readonly question: Parameters<'undo'>;
}

interface Done {
  readonly outcome: UndoOutcome;
  readonly before: string;
  readonly after: string;
}

export function addUndo(program: Command): void {
  const command = program.command('undo').description('take back the changes of a user, process or program, and leave those of others alone').argument('<DIR>', 'a directory or file')
    .requiredOption('--since <T>', 'what was changed after this moment')
    .option('--until <T>', 'and up to this one (default: now)');
  addActorOptions(command).option('--dry-run', 'only show what would be done').option('--skip-conflicts', 'leave what others have changed since as it is, and take the rest back')
    .option('--yes', 'do not ask').option('--json', 'print JSON')
    .action(undo);
}

async function undo(argument: string, options: UndoOptions): Promise<void> {
  const by = actorOf(options);
  if (Object.keys(by).length === 0) throw new UsageError('say whose changes: --by-user, --by-pid or --by-command');
  const located = locate(argument);
  await withDaemon(located, async (client) => {
    const until = options.until?.replace(/^@/, '');
    const proposal = await propose(client, { path: located.path, since: options.since.replace(/^@/, ''), ...(until === undefined ? {} : { until }), ...by });
    if (!options.json) await show(proposal);
    if (options.dryRun || proposal.steps.length + proposal.conflicts.length === 0) return report(proposal, undefined, located, options);
    if (proposal.conflicts.length > 0 && !options.skipConflicts) {
      throw new CommandError(`${counted(proposal.conflicts.length, 'conflict')}: nothing was changed`, '--skip-conflicts leaves these as they are and takes the rest back, --dry-run shows both');
    }
    if (proposal.steps.length === 0) throw new CommandError('conflicts are all there is: nothing was changed');
    if (!options.yes) await ask();
    await report(proposal, await carryOut(client, located, proposal), located, options);
  });
}

async function propose(client: ControlClient, question: Parameters<'undo'>): Promise<Proposal> {
  const steps: UndoStepItem[] = [];
  const conflicts: UndoConflictItem[] = [];
  const { after, upTo } = await client.ask('undo', question, ({ step, conflict }) => {
    if (step !== undefined) steps.push(step);
    if (conflict !== undefined) conflicts.push(conflict);
  });
  return { steps, conflicts, question: { ...question, since: `txn-${after}`, until: `txn-${upTo}` } };
}

async function show({ steps, conflicts }: Proposal): Promise<void> {
  if (steps.length > 0) await print(shownSteps(steps));
  for (const conflict of conflicts.slice(0, mostConflictsShown)) await note(shownConflict(conflict));
  if (conflicts.length > mostConflictsShown) await note(`and ${counted(conflicts.length - mostConflictsShown, 'conflict')} more; --json has all`);
}

async function ask(): Promise<void> {
  if (!process.stdin.isTTY) throw new CommandError('nobody can be asked here, so nothing was changed', 'look at it with --dry-run, then say --yes');
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await reader.question('Take this back? [y/N] ');
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('nothing was changed');
  } finally {
    reader.close();
  }
}

async function carryOut(client: ControlClient, located: Located, proposal: Proposal): Promise<Done> {
  const { txid: before } = await client.ask('hold', { pid: process.pid });
  const again = await propose(client, proposal.question);
  if (JSON.stringify([again.steps, again.conflicts]) !== JSON.stringify([proposal.steps, proposal.conflicts])) {
    throw new CommandError('something has changed in the meantime, so nothing was done', 'run it again to see what it would do now');
  }
  const bytes = proposal.steps.reduce((sum, { start = 0, end = 0 }) => sum + end - start, 0);
  const outcome = await untilStopped(bytes, (hooks) => actUndo(proposal.steps, { root: located.mountpoint, begin: before }, hooks));
  const { txid: after } = await client.ask('release', thisProcess());
  return { outcome, before, after };
}

async function report({ steps, conflicts }: Proposal, done: Done | undefined, located: Located, options: UndoOptions): Promise<void> {
  if (options.json) {
    const result = done === undefined ? {} : { done: done.outcome.done, failed: done.outcome.failures.length, txid: Number(done.after), before: Number(done.before) };
    await print(`${JSON.stringify({ steps: steps.map(jsonStep), conflicts: conflicts.map(jsonConflict), ...result })}\n`);
  } else if (steps.length + conflicts.length === 0) await note('there is nothing to take back');
  if (done === undefined) return;
  const { outcome, before, after } = done;
  await tellShortfall(outcome);
  const undoing = `tidemark undo ${quoted(located.path === '/' ? located.mountpoint : located.absolute)} --by-pid ${process.pid} --since txn-${before}`;
  if (!options.json && before !== after) await print(`this is txn-${after}; to undo it: ${undoing}\n`);
  if (outcome.wasStopped) throw new CommandError('stopped before all was taken back', `\`${undoing}\` undoes what was done`);
  if (outcome.failures.length > 0) throw new CommandError(`${counted(outcome.failures.length, 'step')} could not be done`, `\`${undoing}\` undoes the others`);
}
