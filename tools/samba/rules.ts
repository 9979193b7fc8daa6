/**
 * What must hold in smb.conf for a share in a volume. Pure: in a share, out what is wrong with its lines, each with what to write instead. Each rule was
 * seen to matter with a real smbd; what is not here was seen not to.
 */
import { nameFormat, readyLine } from './ready-section.js';
import type { Share } from './shares.js';
import { isNo, isYes } from './smb-conf.js';
import type { Place, Setting } from './smb-conf.js';

export interface Finding {
  /** A fault keeps people from their versions; a note is for thought. */
  readonly kind: 'fault' | 'note';
  readonly share: string;
  readonly place: Place | undefined;
  readonly what: string;
  /** The line to write; undefined when no line of smb.conf helps, "" when one is to be taken out. */
  readonly write: string | undefined;
}

/** What a rule says: words, and what to write. */
interface Complaint {
  readonly what: string;
  readonly write: string;
}

/** Modules that answer for the versions themselves: whichever stands first is asked, and they know nothing of `.snapshots`. */
const rivals = new Set(['shadow_copy', 'snapper']);

/** By the name of a setting: what is wrong with its value (undefined: it is not set). */
const rules: Readonly<Record<string, (value: string | undefined, share: Share) => Complaint | undefined>> = {
  vfsobjects: checkObjects,
  'shadow:snapdir': (value) => value !== undefined && value.replace(/\/+$/, '') !== '.snapshots'
    ? { what: value.startsWith('/') ? 'every file would list the times of the whole volume' : 'that is not where the past is', write: readyLine('shadow:snapdir') } : undefined,
  'shadow:snapdirseverywhere': (value) => isYes(value) ? undefined
    : { what: 'every file lists the times of the whole volume instead of those of its directory', write: readyLine('shadow:snapdirseverywhere') },
  'shadow:format': (value) => value === nameFormat ? undefined : { what: formatFault(value), write: readyLine('shadow:format') },
  'shadow:localtime': (value) => isYes(value) ? { what: 'the names of moments are in UTC', write: readyLine('shadow:localtime') } : undefined,
  'shadow:sscanf': (value) => isYes(value) ? { what: 'the names of moments are no numbers, so none is found', write: '' } : undefined,
  'shadow:snapprefix': (value) => value === undefined ? undefined : { what: 'the names of moments have no such prefix, so none is found', write: '' },
  'shadow:basedir': (value) => value === undefined ? undefined : { what: 'contradicts shadow:snapdirseverywhere, and Samba ignores it', write: '' },
  'shadow:snapsharepath': (value) => value === undefined ? undefined : { what: 'contradicts shadow:snapdirseverywhere, and Samba ignores it', write: '' },
  'shadow:mountpoint': (value, share) => value === undefined || isAbove(value, share.values.get('path') ?? '') ? undefined
    : { what: 'the share does not lie in that directory, so Samba ignores it', write: '' },
};

/** Settings that may not be said twice with different values. */
const decisive = (name: string): boolean => name.startsWith('shadow:') || name === 'path' || name === 'vfsobjects';

/** All that is wrong with the lines of a share in a volume. */
export function checkShare(share: Share): Finding[] {
  const findings = [...contradictions(share)];
  for (const [name, check] of Object.entries(rules)) {
    const value = share.values.get(name);
    const complaint = check(value, share);
    if (complaint === undefined) continue;
    const line = share.lines.get(name);
    const said = value === undefined ? `${readyLine(name).split(' = ')[0] ?? name} is missing` : `${line?.writtenName ?? name} = ${value}`;
    findings.push({ kind: 'fault', share: share.name, place: line?.place ?? share.place, what: `${said}: ${complaint.what}`, write: complaint.write });
  }
  return [...findings, ...notes(share)];
}

function checkObjects(value: string | undefined): Complaint | undefined {
  const objects = listOf(value ?? '');
  const others = objects.filter((object) => object !== 'shadow_copy2');
  const kept = others.filter((object) => !rivals.has(object));
  const write = `vfs objects = ${[...kept, 'shadow_copy2'].join(' ')}`;
  const count = objects.length - others.length;
  if (count === 0) return { what: 'without shadow_copy2 there are no previous versions', write };
  if (kept.length < others.length) return { what: `${others.find((object) => rivals.has(object)) ?? ''} would answer for the versions, too`, write };
  return count > 1 ? { what: 'shadow_copy2 stands there twice', write } : undefined;
}

function formatFault(value: string | undefined): string {
  if (value === undefined) return 'Samba looks for names like @GMT-2026.11.22-07.00.00 and lists none';
  if (/^["'].*["']$/.test(value)) return 'Samba takes the quotation marks for a part of the name, and finds none';
  if (`${value}Z` === nameFormat) return 'without Z it means local time';
  return 'no moment has such a name';
}

/** Lines of the share that say different things about one setting. */
function * contradictions(share: Share): Generator<Finding> {
  const byName = new Map<string, Setting[]>();
  for (const setting of share.written.filter(({ name }) => decisive(name))) byName.set(setting.name, [...(byName.get(setting.name) ?? []), setting]);
  for (const settings of byName.values()) {
    const [last] = settings.slice(-1);
    if (last === undefined) continue;
    for (const setting of settings.filter(({ value }) => meaning(value) !== meaning(last.value))) {
      const what = `${setting.writtenName} = ${setting.value}: line ${last.place.line}${last.place.file === setting.place.file ? '' : ` of ${last.place.file}`} says ${last.value}, which counts; keep one of the two`;
      yield { kind: 'fault', share: share.name, place: setting.place, what, write: undefined };
    }
  }
}

function * notes(share: Share): Generator<Finding> {
  const note = (name: string, what: string): Finding => {
    const line = share.lines.get(name);
    return { kind: 'note', share: share.name, place: line?.place ?? share.place, what: `${line?.writtenName ?? name} = ${share.values.get(name) ?? ''}: ${what}`, write: undefined };
  };
  if (vetoes(share.values.get('vetofiles') ?? '')) yield note('vetofiles', 'previous versions work, but nobody can open .snapshots by its path, as Samba 4.17 needs for files in directories that are gone');
  const insecure = isYes(share.values.get('allowinsecurewidelinks')) || isNo(share.values.get('unixextensions') ?? share.values.get('smb1unixextensions'));
  if (isYes(share.values.get('widelinks')) && insecure) yield note('widelinks', 'an absolute symlink in a previous version leads to what is there now');
  const user = share.values.get('forceuser');
  if (user !== undefined && user !== '') yield note('forceuser', `whoever connects sees the past with the permissions of ${user}`);
}

/** true when a list of patterns between slashes hides `.snapshots`. */
function vetoes(patterns: string): boolean {
  return patterns.split('/').filter((pattern) => pattern !== '').some((pattern) => {
    const source = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.');
    return new RegExp(`^${source}$`, 'i').test('.snapshots');
  });
}

/** Module names, without what may follow a colon. */
function listOf(value: string): string[] {
  return value.replaceAll('"', '').split(/[\s,]+/).filter((object) => object !== '').map((object) => object.split(':')[0] ?? object);
}

/** Two ways to say yes are no contradiction. */
function meaning(value: string): string {
  if (isYes(value)) return 'yes';
  return isNo(value) ? 'no' : value.replace(/\s+/g, ' ');
}

function isAbove(directory: string, path: string): boolean {
  const above = directory.replace(/\/+$/, '');
  return directory.startsWith('/') && `${path}/`.startsWith(`${above}/`);
}
