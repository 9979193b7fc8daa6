/**
 * One small file, read as of 100,000 transactions ago. The file itself has 1,000 versions on either side of
 * the moment; the other transactions are changes of a name beside it.
 *
 * Invariants:
 * 1. Each of the 100 reads goes to a moment that nobody has asked for before: nothing is in any cache.
 * 2. The bytes read are checked against the version that stood then.
 */
import { execute } from '../command.js';
import type { Group, RunContext } from './group.js';

const versionBytes = 4_096;
const readCount = 100;

export const ago: Group = { id: 'ago', needsHistory: true, run };

async function run({ path, sizes, target, work, sync, record, during }: RunContext): Promise<void> {
  const history = target.history!;
  // More than are read: the oldest transactions are the file's creation, when it was empty still.
  const versionCount = Math.max(2 * readCount, Math.round(sizes.agoTransactionCount / 100));
  const file = `${path}/note`;
  await work('versions', file, 0, versionCount, versionBytes);
  const then = await history.lastTransaction();
  await work('relink', path, sizes.agoTransactionCount / 2);
  await work('versions', file, versionCount, versionCount, versionBytes);
  await work('relink', path, sizes.agoTransactionCount / 2);
  const passed = (await history.lastTransaction()) - then;
  if (passed < BigInt(sizes.agoTransactionCount)) throw new Error(`only ${passed} transactions passed`);
  await check(`${history.pathAt(then)}/note`, versionCount - 1);
  await sync();
  const paths = Array.from({ length: readCount }, (_, index) => `${history.pathAt(then - 1n - BigInt(index))}/note`);
  const seconds = (await during('ago', () => work('first-read', versionBytes, ...paths))).sort((a, b) => a - b);
  record('ago', seconds[Math.floor(readCount / 2)]!);
  record('ago-worst', seconds.at(-1)!);
}

async function check(path: string, version: number): Promise<void> {
  const found = (await execute('od', ['-An', '-tu8', '-N8', path])).trim();
  if (found !== String(version)) throw new Error(`${path} holds version ${found}, not ${version}`);
}
