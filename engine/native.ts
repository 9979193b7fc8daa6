/**
 * The engine's one door to the addon: every other file of the engine knows the addon by its types alone.
 */
import type { NativeAddon } from '../native/types.js';

export { PieceKind } from '../native/types.js';
export type { LogState, NativeAddon, NativeVolume } from '../native/types.js';

/** Loads the addon when it is first needed, so that pure parts of the engine work without it. */
export async function loadAddon(): Promise<NativeAddon> {
  const { addon } = await import('../native/index.js');
  return addon;
}
