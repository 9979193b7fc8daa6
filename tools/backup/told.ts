/** What a run or a verification found, in words that people read. In: results. Out: lines. */
import { shown } from '../../replica/paths.js';
import type { RunResult } from '../../replica/run.js';
import type { VerifyResult } from '../../replica/verify.js';
import { counted } from '../format.js';
import type { SyncResult } from '../../replica/sync/run.js';
import type { BackupState, RunRecord } from './record.js';

const mostNamed = 10;

/** What a run that came to its end changes of the state, and what its record says. */
export interface Outcome {
  readonly state: Pick<BackupState, 'files' | 'bytes' | 'again' | 'conflicts'>;
  readonly record: Pick<RunRecord, 'files' | 'bytes' | 'removed' | 'notes' | 'sync'>;
}

export function outcomeOfRun(result: RunResult): Outcome {
  const { files, bytes, sentFiles, sentBytes, removed, missing, failures } = result;
  return { state: { files, bytes, again: [...new Set([...missing, ...failures.map(({ path }) => path)])] }, record: { files: sentFiles, bytes: sentBytes, removed, notes: notesOf(result) } };
}

export function outcomeOfSync({ files, bytes, again, conflicts, sentFiles, sentBytes, here, there, notes, failures, aside }: SyncResult): Outcome {
  const said = [...notes];
  for (const path of aside.slice(0, mostNamed)) said.push(`both sides had changed it: ${shown(path)} is the other version`);
  for (const { path, reason } of failures.slice(0, mostNamed)) said.push(`${shown(path)} could not be synced: ${reason}`);
  for (const [list, what] of [[aside, 'other version'], [failures, 'file']] as const) if (list.length > mostNamed) said.push(`and ${counted(list.length - mostNamed, `more ${what}`)}`);
  return {
    state: { files, bytes, again: [...again], conflicts: conflicts.map((conflict) => ({ ...conflict })) },
    record: { files: sentFiles, bytes: sentBytes, removed: here.removed + there.removed, notes: said, sync: { here: { ...here }, there: { ...there }, conflicts: conflicts.length } },
  };
}

function notesOf({ notes, failures, missing }: RunResult): string[] {
  const said = [...notes];
  for (const { path, reason } of failures.slice(0, mostNamed)) said.push(`${shown(path)} could not be read and is not in it: ${reason}`);
  if (failures.length > mostNamed) said.push(`${counted(failures.length - mostNamed, 'more file')} could not be read`);
  if (missing.length > 0) said.push(`${counted(missing.length, 'file')} that were to be kept were missing at the destination (${shown(missing[0]!)})`);
  return said;
}

export function verifiedRecord({ files, readFiles, readBytes, missing, damaged, notes }: VerifyResult, name: string): Pick<RunRecord, 'files' | 'bytes' | 'notes' | 'error'> {
  const said = [
    ...(missing.length === 0 ? [] : [`${missing.length} of ${counted(files, 'file')} are missing (${shown(missing[0]!)})`]),
    ...(damaged.length === 0 ? [] : [`${damaged.length} of ${counted(readFiles, 'file')} read back are not what was sent (${shown(damaged[0]!)})`]),
    ...notes,
  ];
  return { files: readFiles, bytes: readBytes, notes: said, ...(said.length === 0 ? {} : { error: `verify found: ${said.join('; ')}; \`tidemark backup run ${name}\` sends them again` }) };
}
