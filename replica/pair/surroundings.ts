/** What surrounds a node of a pair: its daemon, with the volume and the mount. */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../engine/index.js';
import type { Volume } from '../../engine/index.js';

const againMs = 1_000;

/** What a node needs of the daemon around it. */
export interface Surroundings {
  readonly volume: Volume;
  /** The store, by a path that other processes can use. */
  readonly store: string;
  /** Nobody can change the tree any more, or everybody again. Throws VolumeError EBUSY while files are open for writing. */
  setReadOnly(isReadOnly: boolean): Promise<void>;
  mount(): Promise<{ readonly mountpoint: string; readonly flags: readonly string[] }>;
  /** A receiver runs with this pid: what it does is no mass change. */
  onReceiver(pid: number): void;
  /** How the pair works has changed: the alarms may want to tell it. */
  onChange(): void;
  say(line: string): void;
}

/** Lets changes wait until the tree can be made read-only, as long as that is wanted. */
export async function untilReadOnly(surroundings: Surroundings, isWanted: () => boolean): Promise<void> {
  const { native } = surroundings.volume;
  native.holdChanges();
  while (isWanted() && !await isReadOnly(surroundings)) await sleep(againMs);
  native.releaseChanges();
}

/** Makes the tree read-only, or says why it cannot be yet. */
async function isReadOnly(surroundings: Surroundings): Promise<boolean> {
  try {
    await surroundings.setReadOnly(true);
    return true;
  } catch (error) {
    surroundings.say(messageOf(error));
    return false;
  }
}
