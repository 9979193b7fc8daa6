/**
 * The state of a sync, beside the store: `NAME.state` has what both sides had when they were the same last, `NAME.intents` what a run is about to do. In: what is known. Out: files, and back.
 *
 * Invariants:
 * 1. Each appears whole or not at all.
 */
import { jsonTime } from '../../engine/moments.js';
import { DestinationError, faultOf } from '../destination.js';
import { LineFile, lineFile } from '../line-file.js';
import type { LocalFiles } from '../local-files.js';
import { encodeIntents, parseIntents } from './intents.js';
import type { Intent } from './intents.js';
import { encodeKnown, parseKnown } from './known.js';
import type { Known, StateHeader } from './known.js';
import type { SyncOptions } from './run.js';

const stateFormat = 1;

/** A state that was damaged is none: then all is compared, and what differs stays under two names. */
export function readState(local: LocalFiles): { state: LineFile<StateHeader> | undefined; known: Map<string, Known>; notes: string[] } {
  const known = new Map<string, Known>();
  const bytes = local.read('state');
  if (bytes === undefined) return { state: undefined, known, notes: [] };
  try {
    const state = new LineFile<StateHeader>(bytes, 'the state of the sync in the store');
    if (state.header.format > stateFormat) throw new DestinationError('foreign', 'the state of this sync was written by a newer tidemark; update this one');
    for (const index of state.below('')) {
      const one = parseKnown(state.line(index));
      known.set(one.entry.path, one);
    }
    return { state, known, notes: [] };
  } catch (error) {
    if (faultOf(error) === 'foreign') throw error;
    return { state: undefined, known: new Map(), notes: ['the state of the last run was damaged: both sides were compared anew'] };
  }
}

export function readIntents(local: LocalFiles): Intent[] {
  const bytes = local.read('intents');
  return bytes === undefined ? [] : parseIntents(bytes);
}

export function keepIntents(local: LocalFiles, intents: readonly Intent[]): void {
  if (intents.length > 0 || local.read('intents') !== undefined) local.keep('intents', encodeIntents(intents));
}

export function keepState({ owner: { volume, name }, txid, timeNs, local }: Pick<SyncOptions, 'owner' | 'txid' | 'timeNs' | 'local'>, state: LineFile<StateHeader> | undefined, after: ReadonlyMap<string, Known | undefined>): void {
  const header: StateHeader = { format: stateFormat, kind: 'sync', volume, name, txid, time: jsonTime(timeNs) };
  const lines = new Map([...after].map(([path, one]) => [path, one === undefined ? undefined : encodeKnown(one)]));
  local.keep('state', Buffer.concat([...lineFile(header, state, lines)]));
}
