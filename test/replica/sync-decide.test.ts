/** What becomes of a path: every combination of what it was, is here and is there, for each policy and each choice; the plan around it; how names and times of other file systems are compared. */
import t from 'tap';
import type { Entry, EntryType } from '../../replica/entry.js';
import { conflictPath, takenPaths } from '../../replica/sync/conflict-name.js';
import { choices, decide, isSame, policies } from '../../replica/sync/decide.js';
import type { Choice, Decision, Policy, Versions } from '../../replica/sync/decide.js';
import { encodeIntents, parseIntents } from '../../replica/sync/intents.js';
import { encodeKnown, parseKnown } from '../../replica/sync/known.js';
import type { Mark } from '../../replica/sync/known.js';
import { isOurs } from '../../replica/sync/layout.js';
import { plan } from '../../replica/sync/plan.js';
import type { Plan, Rename } from '../../replica/sync/plan.js';
import { isFreshAt, isUntouched, stepOf } from '../../replica/sync/precision.js';
import { removedFrom, stepsOf } from '../../replica/sync/steps.js';
import { StoredNames } from '../../replica/sync/stored-names.js';

function entry(path: string, type: EntryType, content: string, mtimeNs = 1n): Entry {
  return { path, type, size: type === 'file' ? 10 : 0, mtimeNs, mode: 0o644, uid: 0, gid: 0, ...(type === 'file' ? { sha256: content } : type === 'symlink' ? { target: content } : {}) };
}

/** A letter is a file of that content, →x a symlink, / a directory, - nothing. */
function at(path: string, text: string, mtimeNs = 1n): Entry | undefined {
  if (text === '-') return undefined;
  return text === '/' ? entry(path, 'directory', '') : text.startsWith('→') ? entry(path, 'symlink', text, mtimeNs) : entry(path, 'file', text, mtimeNs);
}

const states = ['-', 'a', 'b', 'c', '/', '→x', '→y'];

/** In words of its own: who changed it, and what follows. */
function expected(base: string, here: string, there: string, policy: Policy, choice: Choice | undefined): string {
  if (here === there) return 'settled';
  if (base === here) return 'take there';
  if (base === there) return 'take here';
  if (policy === 'ask' && choice === undefined) return here === '-' ? 'ask deleted-here' : there === '-' ? 'ask deleted-there' : 'ask both-changed';
  if (here === '/' && there !== '-') return 'there moves';
  if (there === '/' && here !== '-') return 'here moves';
  if (choice === 'here' || choice === 'there') return `take ${choice}, kept`;
  if (here === '-') return 'take there';
  if (there === '-') return 'take here';
  return choice === undefined && policy === 'newer' ? 'take there, kept' : 'there moves';
}

function told(decision: Decision): string {
  switch (decision.what) {
    case 'settled': return 'settled';
    case 'take': return `take ${decision.from}${decision.isKept === true ? ', kept' : ''}`;
    case 'keep-both': return `${decision.moves} moves`;
    case 'ask': return `ask ${decision.kind}`;
  }
}

t.test('every combination of base, here and there', async (t) => {
  let count = 0;
  const wrong: string[] = [];
  for (const base of states) for (const here of states) for (const there of states) for (const policy of policies) for (const choice of [undefined, ...choices]) {
    const found = told(decide({ base: at('p', base), here: at('p', here, 5n), there: at('p', there, 6n) }, policy, choice));
    if (found !== expected(base, here, there, policy, choice)) wrong.push(`${base} ${here} ${there} ${policy} ${choice}: ${found}, not ${expected(base, here, there, policy, choice)}`);
    count++;
  }
  t.strictSame(wrong, []);
  t.equal(count, states.length ** 3 * policies.length * (choices.length + 1));
  const tie = decide({ here: at('p', 'a', 6n), there: at('p', 'b', 6n) }, 'newer');
  t.equal(told(tie), 'take here, kept', 'of two of the same time the volume\'s');
  const { sha256: _unread, ...unread } = entry('p', 'file', 'a');
  t.notOk(isSame(unread, unread), 'a file that nobody has read is like no other');
});

function planOf(of: Readonly<Record<string, readonly [base: string, here: string, there: string]>>, renames: Rename[] = [], policy: Policy = 'keep-both'): Plan {
  const versions = new Map(Object.entries(of).map(([path, [base, here, there]]): [string, Versions] => [path, { base: at(path, base), here: at(path, here), there: at(path, there) }]));
  return plan({ versions, renames, policy, choices: new Map(), unchanged: () => undefined });
}

function lines(planned: Plan): string[] {
  return stepsOf(planned, (path) => `${path}*`, () => undefined).steps.map((step) => {
    switch (step.what) {
      case 'move': return `${step.side}: ${step.from} > ${step.to}`;
      case 'aside': return `${step.side}: ${step.path} > ${step.to}`;
      case 'remove': return `${step.side}: rm ${step.path}${step.isKept ? ' (kept)' : ''}`;
      case 'make': return `${step.side}: mkdir ${step.path}`;
      default: return `${step.side}: ${step.what} ${step.path}`;
    }
  });
}

t.test('steps of plans', async (t) => {
  const cases: readonly [string, Parameters<typeof planOf>, string[]][] = [
    ['a new directory comes before what is in it', [{ d: ['-', '/', '-'], 'd/x': ['-', 'a', '-'] }], ['there: mkdir d', 'there: copy d/x']],
    ['a removed one goes after it', [{ d: ['/', '-', '/'], 'd/x': ['a', '-', 'a'] }], ['there: rm d/x', 'there: rm d']],
    ['but stays for what was changed in it, and comes back', [{ d: ['/', '-', '/'], 'd/x': ['a', '-', 'b'], 'd/y': ['c', '-', 'c'] }], ['there: rm d/y', 'here: mkdir d', 'here: copy d/x']],
    ['a file takes the place of a directory', [{ d: ['/', 'a', '/'], 'd/x': ['b', '-', 'b'] }], ['there: rm d/x', 'there: rm d', 'there: copy d']],
    ['and moves aside where something in it was changed', [{ d: ['/', 'a', '/'], 'd/x': ['b', '-', 'c'] }], ['here: d > d*', 'here: mkdir d', 'there: copy d*', 'here: copy d/x']],
    ['both versions', [{ f: ['a', 'b', 'c'] }], ['there: f > f*', 'there: copy f', 'here: copy f*']],
    ['a rename here', [{ f: ['a', '-', 'a'], g: ['-', 'a', '-'] }, [{ side: 'here', from: 'f', to: 'g' }]], ['there: f > g']],
    ['… of what was changed there', [{ f: ['a', '-', 'b'], g: ['-', 'a', '-'] }, [{ side: 'here', from: 'f', to: 'g' }]], ['there: f > g', 'here: copy g']],
    ['… onto a name that is taken there', [{ f: ['a', '-', 'a'], g: ['-', 'a', 'b'] }, [{ side: 'here', from: 'f', to: 'g' }]], ['there: g > g*', 'there: rm f', 'there: copy g', 'here: copy g*']],
    ['… of what was removed there', [{ f: ['a', '-', '-'], g: ['-', 'a', '-'] }, [{ side: 'here', from: 'f', to: 'g' }]], ['there: copy g']],
    ['two names for one file', [{ f: ['a', '-', '-'], g: ['-', 'a', '-'], h: ['-', '-', 'a'] }, [{ side: 'here', from: 'f', to: 'g' }, { side: 'there', from: 'f', to: 'h' }]], ['there: copy g', 'here: copy h']],
    ['the same rename on both', [{ f: ['a', '-', '-'], g: ['-', 'a', 'a'] }, [{ side: 'here', from: 'f', to: 'g' }, { side: 'there', from: 'f', to: 'g' }]], []],
    ['what is left to somebody keeps its directory', [{ d: ['/', '-', '/'], 'd/x': ['a', '-', 'b'], 'd/y': ['c', '-', 'c'] }, [], 'ask'], ['there: rm d/y']],
    ['and nothing is done below a name that is left', [{ d: ['-', 'a', '/'], 'd/x': ['-', '-', 'b'] }, [], 'ask'], []],
  ];
  for (const [name, parameters, steps] of cases) t.strictSame(lines(planOf(...parameters)), steps, name);
  const { steps } = stepsOf(planOf({ f: ['a', '-', 'a'], g: ['a', '-', 'a'], h: ['a', 'b', 'a'], d: ['/', '-', '/'] }), (path) => path, () => undefined);
  t.strictSame([removedFrom('there', steps), removedFrom('here', steps)], [2, 0], 'files that go, no others');
});

t.test('times of other file systems', async (t) => {
  const set = 1_700_000_001_123_456_789n;
  for (const [got, step] of [[set, 1n], [1_700_000_001_123_456_700n, 100n], [1_700_000_001_120_000_000n, 10_000_000n], [1_700_000_001_000_000_000n, 1_000_000_000n], [1_700_000_000_000_000_000n, 2_000_000_000n], [5n, 2_000_000_000n]] as const) t.equal(stepOf(set, got), step);
  const fat = { timeNs: 2_000_000_000n, hasChangeTimes: false };
  const ext4 = { timeNs: 1n, hasChangeTimes: true };
  const known: Mark = { size: 10, mtimeNs: 4_000_000_000n, mode: 0o644, ctimeNs: 7n, inode: '3' };
  const cases: readonly [string, Partial<Mark>, typeof fat, boolean][] = [
    ['nothing', {}, fat, true], ['FAT rounds', { mtimeNs: 5_999_999_999n }, fat, true], ['the next step of FAT', { mtimeNs: 6_000_000_000n }, fat, false], ['… the one before', { mtimeNs: 2_000_000_000n }, fat, false],
    ['another time zone', { mtimeNs: 3_604_000_000_000n }, fat, false], ['another size', { size: 11 }, fat, false], ['inodes mean nothing on FAT', { inode: '4', ctimeNs: 8n }, fat, true],
    ['a time that was set back', { ctimeNs: 8n }, ext4, false], ['another file', { inode: '4' }, ext4, false], ['a nanosecond', { mtimeNs: 4_000_000_001n }, ext4, false], ['nothing', {}, ext4, true],
  ];
  for (const [name, change, precision, is] of cases) t.equal(isUntouched(known, { ...known, ...change }, precision), is, name);
  t.notOk(isUntouched({ ...known, isFresh: true }, known, fat), 'what was looked at too soon is read');
  t.ok(isFreshAt(4_000_000_000n, 5_500_000_000n, fat));
  t.notOk(isFreshAt(4_000_000_000n, 6_500_000_000n, fat));
});

t.test('names that cannot stand there, and names that differ in capitals alone', async (t) => {
  const fat = new StoredNames('windows', true);
  t.equal(fat.read('', 'README'), 'README');
  t.equal(fat.of('readme'), '%72%65%61%64%6D%65');
  t.equal(fat.of('Readme'), '%52%65%61%64%6D%65');
  t.equal(fat.of('a?b/c:d'), 'a%3Fb/c%3Ad');
  fat.forget('README');
  t.equal(fat.of('ReadMe'), 'ReadMe', 'a name that came free');
  const next = new StoredNames('windows', true);
  for (const [stored, path] of [['README', 'README'], ['%72%65%61%64%6D%65', 'readme'], ['a%3Fb', 'a?b'], ['100%25', '100%25'], ['100%20done', '100%20done'], ['%2F', '%2F']] as const) {
    t.equal(next.read('', stored), path, stored);
    t.equal(next.of(path), stored, `${path} keeps its name there`);
  }
  t.equal(next.of('50%20'), '50%2520');
  const plain = new StoredNames('bytes', false);
  t.equal(plain.read('', 'a%3Fb'), 'a%3Fb', 'where every name can stand nothing is escaped');
  t.equal(plain.of('readme'), 'readme');
  for (const [path, is] of [['tidemark-sync', true], ['tidemark-sync/x/y', true], ['a/tidemark-sync', false], ['System Volume Information/x', true], ['d/.tidemark-sync-stick-0123456789ab', true], ['.tidemark-sync', false]] as const) t.equal(isOurs(path), is, path);
});

t.test('names of conflicts are free and short enough', async (t) => {
  const taken = takenPaths(['d/Report (Conflict from stick 2026-11-23 0930).txt']);
  const nowMs = new Date(2026, 10, 23, 9, 30).getTime();
  t.equal(conflictPath('d/report.txt', 'stick', nowMs, (path) => taken.has(path)), 'd/report (conflict from stick 2026-11-23 0930 2).txt');
  t.equal(conflictPath('.profile', 'stick', nowMs, () => false), '.profile (conflict from stick 2026-11-23 0930)');
  const long = conflictPath(`${'\u00c3\u00a9'.repeat(120)}.tar`, 'stick', nowMs, () => false);
  t.ok(long.length <= 255 && Buffer.from(Buffer.from(long, 'latin1').toString()).toString('latin1') === long, 'no character is cut in two');
});

t.test('what is written down is read back', async (t) => {
  const known = { entry: entry('d/ä"\u00ff', 'file', 'ab'.repeat(32)), there: { size: 10, mtimeNs: -5n, mode: 0o600, ctimeNs: 9n, inode: '12', isFresh: true as const }, writtenAfter: '7' };
  t.strictSame(parseKnown(encodeKnown(known)), known);
  const intents = [{ what: 'move', side: 'here', from: 'a', to: 'b' }, { what: 'put', side: 'there', path: 'c' }, { what: 'put', side: 'here', path: 'd', entry: entry('d', 'symlink', 'x') }] as const;
  t.strictSame(parseIntents(encodeIntents([...intents, ...intents])), intents, 'each once');
  t.strictSame(parseIntents(encodeIntents([])), []);
});
