/**
 * The engine's one door to the addon: every other file of the engine knows the addon by its types alone.
 */
import type { FileCalls, NativeAddon } from '../native/types.js';

export { PieceKind } from '../native/types.js';
export type { FileCalls, HistoryKind, LogState, NativeAddon, NativeVolume } from '../native/types.js';
export type { RoomCalls, RoomState } from '../native/room.js';

/** Loads the addon when it is first needed, so that pure parts of the engine work without it. */
export async function loadAddon(): Promise<NativeAddon> {
  const { addon } = await import('../native/index.js');
  return addon;
}

/** System calls that node:fs lacks. */
export async function loadFileCalls(): Promise<FileCalls> {
  const { files } = await import('../native/index.js');
  return files;
}
