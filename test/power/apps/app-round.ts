/**
 * Rounds of power cuts for applications: which of them work side by side on one disk, and how their cuts are examined. In: a seed and how much of each. Out: what
 * was found.
 */
import { Random } from '../../support/seed.js';
import { chooseCuts, examineCuts, keepImage } from '../cuts.js';
import type { CutResult } from '../cuts.js';
import { readEntries } from '../journal.js';
import { examineCutsQuickly } from '../quick-cuts.js';
import type { QuickResult } from '../quick-cuts.js';
import { withRecording } from '../recording.js';
import type { Recording } from '../recording.js';
import { workersOf } from '../witness.js';
import type { Application } from './application.js';
import { PagesWork } from './pages.js';
import { PostgresqlWork } from './postgresql.js';
import { saveAll } from './saves.js';
import { SqliteWork } from './sqlite.js';
import type { SqliteMode } from './sqlite.js';

export type Working = 'sqlite' | 'pages' | 'editors' | 'postgresql';

export interface ApplicationRoundOptions {
  readonly seed: number;
  /** Transactions of each writer, saves of each editor, in each session. */
  readonly steps: number;
  readonly sessions?: number;
  /** As in RecordingOptions. */
  readonly arguments?: readonly string[];
}

interface Listener {
  comment(...words: unknown[]): void;
}

const modes: readonly SqliteMode[] = ['wal', 'delete', 'delete-extra', 'truncate', 'persist'];
const editorCount = 2;

/** Records them at work, then runs the body. */
export async function withApplications(t: Listener, working: readonly Working[], options: ApplicationRoundOptions, body: (recording: Recording, random: Random) => Promise<void>): Promise<void> {
  const random = new Random(options.seed);
  const { steps, sessions = 1 } = options;
  const recorded = {
    ...options, seed: random.below(2 ** 32), sessions, lanes: working.includes('editors') ? editorCount : 0,
    applications: working.flatMap((each) => applicationsOf(each, steps, random)),
    work: (lane: Parameters<typeof saveAll>[0], own: Random) => saveAll(lane, own, steps), writesBackIn: 4,
  };
  await withRecording(t, recorded, async (recording) => {
    const operations = workersOf(recording.witness).reduce((sum, worker) => sum + worker.operations.length, 0);
    t.comment(`${working.join(', ')}: ${operations} operations, ${recording.witness.moments.length} moments of the past`);
    await body(recording, random);
  });
}

/** Examines the past oftener than after other cuts. */
export async function cutApplicationsQuickly(recording: Recording, count: number, random: Random): Promise<QuickResult[]> {
  return examineCutsQuickly(recording, chooseCuts(recording, readEntries(recording.journal), count, random), { pastIn: 6 });
}

/** With a daemon, and all that cut.ts looks at. */
export async function cutApplications(t: Listener, recording: Recording, count: number, random: Random): Promise<CutResult[]> {
  return examineCuts(t, recording, chooseCuts(recording, readEntries(recording.journal), count, random), { keep: keepImage });
}

function applicationsOf(working: Working, steps: number, random: Random): Application[] {
  const own = (): Random => new Random(random.below(2 ** 32));
  // WAL, and one of the modes with a journal that is rolled back.
  if (working === 'sqlite') return ['wal' as const, random.pick(modes.slice(1))].map((mode) => new SqliteWork(`sqlite-${mode}`, mode, steps, own()));
  if (working === 'pages') return [new PagesWork('pages', steps, own())];
  return working === 'postgresql' ? [new PostgresqlWork('postgresql', steps, own())] : [];
}
