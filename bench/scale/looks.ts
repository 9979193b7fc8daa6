/**
 * What is looked at through the mount, of a history made up: lists of moments, moments by every kind of name, the bytes of then. In: the history. Out: looks for the probe.
 *
 * Invariants:
 * 1. No moment is asked for twice: nothing that is looked at is in any cache.
 */
import { formatMoment } from '../../engine/moments.js';
import { Random } from '../../test/support/seed.js';
import { noteVersion, pinName } from './history.js';
import type { MadeHistory } from './history.js';
import type { Look } from './probe.js';
import { filesPerDirectory } from './store.js';

/** Figure → looks at it, of which every other kind only prepares ("touch"). */
export type Looks = Record<'listRoot' | 'listDirectory' | 'resolve' | 'resolveBelow' | 'read', Look[]>;

const listings = 15;
const momentsOfAKind = 25;
const youngerPart = 0.5;

export function looksAt(mount: string, history: MadeHistory, files: number): Looks {
  const random = new Random(2);
  const directories = Math.ceil(files / filesPerDirectory);
  // Of those that were there at half of the time already.
  const directory = (): string => `${mount}/d${random.below(Math.ceil(directories * 0.4))}`;
  return {
    // Something changes before each: the list is made anew.
    listRoot: repeat(listings, () => [{ do: 'touch', path: `${mount}/note` }, { do: 'list', path: `${mount}/.snapshots` }]),
    listDirectory: repeat(listings, (index) => [{ do: 'touch', path: `${mount}/d${index % directories}` }, { do: 'list', path: `${mount}/d${index % directories}/.snapshots` }]),
    resolve: moments(history, random, momentsOfAKind).map((name) => ({ do: 'stat', path: `${mount}/.snapshots/${name}` })),
    resolveBelow: moments(history, random, momentsOfAKind).map((name) => ({ do: 'stat', path: `${directory()}/.snapshots/${name}` })),
    read: repeat(momentsOfAKind, () => {
      const version = 1 + random.below(history.noteTxids.length - 2);
      const from = history.noteTxids[version]!;
      const txid = from + random.below(history.noteTxids[version + 1]! - from);
      return [{ do: 'read', path: `${mount}/.snapshots/@txn-${txid}/note`, text: noteVersion(version) }];
    }),
  };
}

/** `count` of each kind of name, of the younger half. */
function moments(history: MadeHistory, random: Random, count: number): string[] {
  const { firstNs, lastNs, transactions } = history;
  const spanMs = Number((lastNs - firstNs) / 1_000_000n);
  const nowNs = (): bigint => lastNs - (BigInt(random.below(Math.floor(spanMs * youngerPart))) * 1_000_000n);
  const ago = (): number => random.below(Math.floor((spanMs / 1000) * youngerPart));
  return repeat(count, () => [
    `@${formatMoment(nowNs(), 'second')}`,
    `@${formatMoment(nowNs(), 'nanosecond')}`,
    `@${1 + ago()}s`,
    `@${Math.floor(ago() / 3600)}h${1 + random.below(3599)}s`,
    `@txn-${transactions - random.below(Math.floor(transactions * youngerPart))}`,
  ]).concat([`@${pinName}`, '@yesterday']);
}

function repeat<T>(count: number, make: (index: number) => T[]): T[] {
  return Array.from({ length: count }, (_, index) => make(index)).flat();
}
