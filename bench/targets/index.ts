/**
 * The targets that can be compared, by name. A new peer is one file beside this one and one line here.
 */
import { bare } from './bare.js';
import { bindfs } from './bindfs.js';
import { passthroughHp, passthroughLl } from './passthrough.js';
import { tidemark } from './tidemark.js';
import type { Target } from './target.js';

/** What Tidemark has to beat: they do as much without a history. */
const peers: readonly Target[] = [bindfs, passthroughLl, passthroughHp];

export const allTargets: readonly Target[] = [
  bare,
  ...peers,
  tidemark('tidemark', []),
  tidemark('tidemark-relaxed', ['--history=relaxed']),
  tidemark('tidemark-every-write', ['--every-write']),
];

export const peerNames: readonly string[] = peers.map(({ name }) => name);
export const defaultTargets: readonly string[] = ['bare', ...peerNames, 'tidemark'];
