/**
 * What the planner of an undo decides, on histories written down by hand: a table of what mine and others' did, the steps that follow, and the conflicts.
 */
import t from 'tap';
import { directoryType, regularType } from '../../engine/attributes.js';
import type { FileId } from '../../engine/types.js';
import { planUndo } from '../../engine/undo-plan.js';
import type { BytesStep, Conflict, FileHistory, NameHistory, Place, Step, UndoHistory, UndoStep, ValueStep } from '../../engine/undo-types.js';

const root = 1n as FileId;
const [none, a, b, c, dir, dir2] = [0n, 10n, 11n, 12n, 20n, 21n] as FileId[] as [FileId, FileId, FileId, FileId, FileId, FileId];

const mine = (txid: number): Step => ({ txid, isMine: true });
const theirs = (txid: number): Step => ({ txid, isMine: false });

/** Steps of a name: who, from which file, to which. */
function name(directory: FileId, text: string, ...steps: [Step, FileId, FileId][]): NameHistory {
  return { directory, name: text, steps: steps.map(([step, before, after]) => ({ ...step, before, after })) };
}

function file(more: Partial<FileHistory> = {}): FileHistory {
  return { type: regularType, linkCount: 1, size: 4096, birth: undefined, goneAt: 0, namings: [], renamings: new Set(), isCut: false, bytes: [], sizes: [], modes: [], uids: [], gids: [], mtimes: [], xattrs: new Map(), ...more };
}

const gone = (goneAt: number): FileHistory => file({ linkCount: 0, goneAt });
const folder = (more: Partial<FileHistory> = {}): FileHistory => file({ type: directoryType, ...more });
const bytes = (step: Step, start: number, end: number, size = 16384): BytesStep => ({ ...step, start, end, size });
const value = (step: Step, before: number): ValueStep => ({ ...step, before: BigInt(before) });

interface Scene {
  readonly names?: readonly NameHistory[];
  readonly files?: readonly [FileId, FileHistory][];
  readonly places?: readonly [FileId, FileId, string][];
  readonly contents?: readonly [FileId, readonly { name: string; txid: number }[]][];
  readonly uncertain?: UndoHistory['uncertain'];
}

function plan({ names = [], files = [], places = [], contents = [], uncertain = [] }: Scene): string[] {
  const byFile = new Map<FileId, Place[]>();
  for (const [of, parent, text] of places) byFile.set(of, [...byFile.get(of) ?? [], { parent, name: text }]);
  const all = new Map<FileId, FileHistory>([[root, folder()], ...files]);
  const { steps, conflicts } = planUndo({ rootId: root, names, files: all, places: byFile, contents: new Map(contents), uncertain });
  return [...steps.map(tell), ...conflicts.map(tellConflict)];
}

function tell(step: UndoStep): string {
  const over = 'replaces' in step && step.replaces !== none ? ` over ${step.replaces}` : '';
  switch (step.kind) {
    case 'rename':
    case 'link': return `${step.kind} ${step.path} to ${step.to}${over}`;
    case 'recreate': return `recreate ${step.path} as of ${step.snapshot}${over}`;
    case 'remove': return `remove ${step.path}`;
    case 'size': return `${step.path} size ${step.size} as of ${step.snapshot}`;
    case 'bytes': return `${step.path} bytes ${step.start}-${step.end} as of ${step.snapshot}`;
    case 'xattr': return `${step.path} ${step.name} as of ${step.snapshot}`;
    default: return `${step.path} ${step.kind} ${step.value} as of ${step.snapshot}`;
  }
}

function tellConflict({ kind, path, mine: own, other, range }: Conflict): string {
  return `! ${kind} ${path}${range === undefined ? '' : ` ${range.start}-${range.end}`}: ${own} then ${other}`;
}

const table: [string, Scene, string[]][] = [
  ['nothing was done', {}, []],
  ['a file that mine made goes', {
    names: [name(root, 'f', [mine(5), none, a])], files: [[a, file({ birth: mine(5) })]], places: [[a, root, 'f']],
  }, ['remove /f']],
  ['a file that mine made and others wrote stays', {
    names: [name(root, 'f', [mine(5), none, a])], files: [[a, file({ birth: mine(5), bytes: [bytes(theirs(7), 0, 10)] })]], places: [[a, root, 'f']],
  }, ['! contents /f: 5 then 7']],
  ['nor one to which others gave another name', {
    names: [name(root, 'f', [mine(5), none, a])], files: [[a, file({ birth: mine(5), linkCount: 2, namings: [mine(5), theirs(6)] })]], places: [[a, root, 'f'], [a, root, 'g']],
  }, ['! contents /f: 5 then 6']],
  ['a deleted file comes back', {
    names: [name(root, 'f', [mine(5), a, none])], files: [[a, gone(5)]],
  }, ['recreate /f as of 4']],
  ['with what others wrote into it after its first name had gone', {
    names: [name(root, 'f', [mine(5), a, none]), name(root, 'g', [mine(8), a, none])], files: [[a, gone(8)]],
  }, ['recreate /f as of 7', 'link /f to /g']],
  ['a hard link of mine that others renamed stays', {
    names: [name(root, 'l', [mine(5), none, a], [theirs(6), a, none])], files: [[a, file({ linkCount: 2, renamings: new Set([6]) })]], places: [[a, root, 'f'], [a, root, 'm']],
  }, ['! name /l: 5 then 6']],
  ['but not where others made a new one', {
    names: [name(root, 'f', [mine(5), a, none], [theirs(6), none, b])], files: [[a, gone(5)], [b, file({ birth: theirs(6) })]], places: [[b, root, 'f']],
  }, ['! name /f: 5 then 6']],
  ['what was made again by hand needs nothing', {
    names: [name(root, 'f', [mine(5), none, a], [mine(6), a, none])], files: [[a, file({ linkCount: 0, birth: mine(5) })]],
  }, []],
  ['a rename goes back, whatever others wrote into the file', {
    names: [name(root, 'old', [mine(5), a, none]), name(root, 'new', [mine(5), none, a])], files: [[a, file({ bytes: [bytes(theirs(6), 0, 10)] })]], places: [[a, root, 'new']],
  }, ['rename /new to /old']],
  ['a rename over another file: that one comes back', {
    names: [name(root, 'x', [mine(5), a, none]), name(root, 'y', [mine(5), b, a])], files: [[a, file()], [b, gone(5)]], places: [[a, root, 'y']],
  }, ['rename /y to /x', 'recreate /y as of 4']],
  ['saved the way editors do: the old one comes back in one step', {
    names: [name(root, 'tmp', [mine(5), none, b], [mine(6), b, none]), name(root, 'f', [mine(6), a, b])],
    files: [[a, gone(6)], [b, file({ birth: mine(5) })]], places: [[b, root, 'f']],
  }, ['recreate /f as of 5 over 11']],
  ['two names of a rename go back together or not at all: the old one is taken', {
    names: [name(root, 'old', [mine(5), a, none], [theirs(6), none, b]), name(root, 'new', [mine(5), none, a])],
    files: [[a, file()], [b, file({ birth: theirs(6) })]], places: [[a, root, 'new'], [b, root, 'old']],
  }, ['! origin /new: 5 then 6', '! name /old: 5 then 6']],
  ['and others renamed it further', {
    names: [name(root, 'old', [mine(5), dir, none]), name(root, 'new', [mine(5), none, dir], [theirs(6), dir, none])], files: [[dir, folder()]], places: [[dir, root, 'newer']],
  }, ['! origin /old: 5 then 6']],
  ['exchanged names go round through a third', {
    names: [name(root, 'x', [mine(5), a, b]), name(root, 'y', [mine(5), b, a])], files: [[a, file()], [b, file()]], places: [[a, root, 'y'], [b, root, 'x']],
  }, ['rename /x to /.tidemark-undo-0', 'rename /y to /x', 'rename /.tidemark-undo-0 to /y']],
  ['a deleted tree comes back from the top', {
    names: [name(dir, 'f', [mine(5), a, none]), name(dir, 'sub', [mine(7), dir2, none]), name(dir2, 'g', [mine(6), b, none]), name(root, 'd', [mine(8), dir, none])],
    files: [[a, gone(5)], [b, gone(6)], [dir, folder({ linkCount: 0, goneAt: 8 })], [dir2, folder({ linkCount: 0, goneAt: 7 })]],
  }, ['recreate /d as of 7', 'recreate /d/f as of 4', 'recreate /d/sub as of 6', 'recreate /d/sub/g as of 5']],
  ['not into a directory that others have deleted since', {
    names: [name(dir, 'f', [mine(5), a, none])], files: [[a, gone(5)], [dir, folder({ linkCount: 0, goneAt: 6 })]],
  }, ['! directory /?/f: 5 then 0']],
  ['what was moved into a directory of mine moves out before it goes', {
    names: [name(root, 'd', [mine(5), none, dir]), name(root, 'f', [mine(6), a, none]), name(dir, 'f', [mine(6), none, a])],
    files: [[a, file()], [dir, folder({ birth: mine(5) })]], places: [[a, dir, 'f'], [dir, root, 'd']], contents: [[dir, [{ name: 'f', txid: 6 }]]],
  }, ['rename /d/f to /f', 'remove /d']],
  ['a directory of mine in which others made something stays, with what is theirs', {
    names: [name(root, 'd', [mine(5), none, dir]), name(dir, 'f', [mine(6), none, a])],
    files: [[a, file({ birth: mine(6) })], [dir, folder({ birth: mine(5) })]], places: [[a, dir, 'f'], [dir, root, 'd']], contents: [[dir, [{ name: 'f', txid: 6 }, { name: 'other', txid: 9 }]]],
  }, ['remove /d/f', '! contents /d: 5 then 9']],
  ['a hard link of mine goes, the file stays', {
    names: [name(root, 'l', [mine(5), none, a])], files: [[a, file({ linkCount: 2 })]], places: [[a, root, 'f'], [a, root, 'l']],
  }, ['remove /l']],
  ['a hard link that mine removed comes back', {
    names: [name(root, 'l', [mine(5), a, none])], files: [[a, file({ linkCount: 1 })]], places: [[a, root, 'f']],
  }, ['link /f to /l']],
  ['bytes go back, and others in the same file stay', {
    files: [[a, file({ size: 16384, bytes: [bytes(mine(5), 0, 4096), bytes(theirs(6), 8192, 12288)] })]], places: [[a, root, 'f']],
  }, ['/f bytes 0-4096 as of 4']],
  ['to what others had written before', {
    files: [[a, file({ size: 16384, bytes: [bytes(theirs(3), 0, 4096), bytes(mine(5), 0, 4096), bytes(mine(7), 0, 8192)] })]], places: [[a, root, 'f']],
  }, ['/f bytes 0-4096 as of 4', '/f bytes 4096-8192 as of 6']],
  ['not where others wrote over them', {
    files: [[a, file({ size: 16384, bytes: [bytes(mine(5), 0, 8192), bytes(theirs(6), 4096, 8192)] })]], places: [[a, root, 'f']],
  }, ['/f bytes 0-4096 as of 4', '! bytes /f 4096-8192: 5 then 6']],
  ['what mine appended is cut off', {
    files: [[a, file({ size: 150, bytes: [bytes(mine(5), 50, 150, 50)], sizes: [value(mine(5), 50)], mtimes: [value(mine(5), 7)] })]], places: [[a, root, 'f']],
  }, ['/f size 50 as of 4', '/f mtime 7 as of 4']],
  ['not when others wrote behind it', {
    files: [[a, file({ size: 200, bytes: [bytes(mine(5), 50, 150, 50), bytes(theirs(6), 150, 200, 150)], sizes: [value(mine(5), 50), value(theirs(6), 150)] })]], places: [[a, root, 'f']],
  }, ['! size /f: 5 then 6']],
  ['nor when they wrote into it', {
    files: [[a, file({ size: 150, bytes: [bytes(mine(5), 50, 150, 50), bytes(theirs(6), 0, 150, 150)], sizes: [value(mine(5), 50)] })]], places: [[a, root, 'f']],
  }, ['! size /f: 5 then 6', '! bytes /f 50-150: 5 then 6']],
  ['what mine cut off comes back', {
    files: [[a, file({ size: 10, bytes: [bytes(mine(5), 0, 100, 100)], sizes: [value(mine(5), 100)] })]], places: [[a, root, 'f']],
  }, ['/f size 100 as of 4', '/f bytes 0-100 as of 4']],
  ['attributes one by one', {
    files: [[a, file({ modes: [value(mine(5), 0o644)], uids: [value(theirs(6), 0)], xattrs: new Map([['user.x', [mine(7)]], ['user.y', [mine(7), theirs(8)]]]) })]], places: [[a, root, 'f']],
  }, ['/f user.x as of 6', '/f mode 420 as of 4', '! xattr /f: 7 then 8']],
  ['times come back only where all that is younger is mine', {
    files: [[a, file({ mtimes: [value(mine(5), 1), value(theirs(6), 2)] })], [b, file({ mtimes: [value(theirs(4), 1), value(mine(5), 2)] })]], places: [[a, root, 'f'], [b, root, 'g']],
  }, ['/g mtime 2 as of 4']],
  ['a deleted file comes back without what mine wrote before', {
    names: [name(root, 'f', [mine(7), a, none])], files: [[a, file({ linkCount: 0, goneAt: 7, size: 16384, bytes: [bytes(mine(5), 0, 4096), bytes(theirs(6), 8192, 12288)] })]],
  }, ['recreate /f as of 6', '/f bytes 0-4096 as of 4']],
  ['what mine made and cannot go keeps its contents', {
    names: [name(root, 'f', [mine(5), none, a], [theirs(7), a, none])],
    files: [[a, file({ birth: mine(5), namings: [mine(5), theirs(7)], size: 100, sizes: [value(mine(6), 0)], bytes: [bytes(mine(6), 0, 100, 0)] })]], places: [[a, root, 'g']],
  }, ['! contents /g: 5 then 7']],
  ['of a file whose history was given up nothing goes back', {
    names: [name(root, 'f', [mine(6), b, none])], files: [[a, file({ isCut: true, bytes: [bytes(mine(5), 0, 10)] })], [b, file({ linkCount: 0, goneAt: 6, isCut: true })]], places: [[a, root, 'g']],
  }, ['! lost /f: 6 then 0', '! lost /g: 0 then 0']],
  ['what left while nothing was mounted is lost', {
    names: [name(root, 'f', [mine(5), c, none])],
  }, ['! lost /f: 5 then 0']],
  ['whose a transaction is may not be known', {
    files: [[a, file()]], places: [[a, root, 'f']], uncertain: [{ txid: 9, file: a, why: 'recovered' }],
  }, ['! uncertain /f: 0 then 9']],
];

for (const [title, scene, expected] of table) void t.test(title, async (t) => { t.strictSame(plan(scene), expected); });

t.test('owners go back before attributes, of which they take some, and modes last', (t) => {
  const changed = file({ uids: [value(mine(5), 1)], gids: [value(mine(5), 2)], modes: [value(mine(5), 0o4755)], xattrs: new Map([['security.capability', [mine(5)]]]) });
  t.strictSame(plan({ files: [[a, changed]], places: [[a, root, 'f']] }), ['/f uid 1 as of 4', '/f gid 2 as of 4', '/f security.capability as of 4', '/f mode 2541 as of 4']);
  t.end();
});
