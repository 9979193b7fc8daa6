/**
 * The targets that can be compared, by name. A new peer is one file beside this one and one line here.
 */
import { bare } from './bare.js';
import { bindfs } from './bindfs.js';
import { tidemark } from './tidemark.js';
import type { Target } from './target.js';

export const allTargets: readonly Target[] = [
  bare,
  bindfs,
  tidemark('tidemark', []),
  tidemark('tidemark-relaxed', ['--history=relaxed']),
  tidemark('tidemark-every-write', ['--every-write']),
];

export const defaultTargets: readonly string[] = ['bare', 'bindfs', 'tidemark'];
