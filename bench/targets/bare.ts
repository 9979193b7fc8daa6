/**
 * The bare directory: what every ratio is taken against. The directory itself is the path.
 */
import type { RunningTarget, Target } from './target.js';

export const bare: Target = {
  name: 'bare',
  describe: () => Promise.resolve('the directory itself'),
  unavailable: () => Promise.resolve(undefined),
  start: (directory: string): Promise<RunningTarget> => Promise.resolve({
    path: directory, pid: undefined, features: [], history: undefined, stop: () => Promise.resolve(),
  }),
};
