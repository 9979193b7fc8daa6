/**
 * bindfs with its default options: the passthrough filesystem that a user would get from the distribution.
 */
import { execute } from '../command.js';
import { fusePeer } from './fuse-peer.js';

export const bindfs = fusePeer({
  name: 'bindfs',
  // A round of it takes two minutes, most of it in the rows where it is far behind: two rounds say that well enough.
  mostRounds: 2,
  describe: async () => `${(await execute('bindfs', ['--version'])).trim()}, default options`,
  unavailable: () => execute('bindfs', ['--version']).then(() => undefined, () => 'bindfs is not installed (apt install bindfs)'),
  command: (directory, path) => ['bindfs', '-f', directory, path],
});
