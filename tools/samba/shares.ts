/**
 * What holds for a share: its own settings, those it copies, and those of [global]. In: sections as they are written, and, where `testparm` is
 * there, as Samba understands them. Out: shares.
 *
 * Invariants:
 * 1. Where Samba's own answer is there, values are taken from it; lines always come from the files.
 */
import { isNo, isYes } from './smb-conf.js';
import type { Place, Section, Setting, SmbConf } from './smb-conf.js';

export interface Share {
  /** As the file has it. */
  readonly name: string;
  /** Undefined: it stands in no file that could be read (in the registry, or in a file of its client's). */
  readonly place: Place | undefined;
  /** The share's own lines, all of them. */
  readonly written: readonly Setting[];
  /** Value by name; what is not set anywhere is absent. */
  readonly values: ReadonlyMap<string, string>;
  /** The line that counts, by name. */
  readonly lines: ReadonlyMap<string, Setting>;
}

/** Settings that a copy does not take over. */
const notCopied = new Set(['copy', 'path']);

/** All shares but printers and those that are turned off. `effective`: what Samba makes of the files; the files' own sections count otherwise. */
export function sharesOf(files: SmbConf, effective: SmbConf | undefined): Share[] {
  const shares: Share[] = [];
  for (const [key, section] of (effective ?? files).shares) {
    const written = files.shares.get(key);
    const lines = new Map([...linesOf(files.global, files), ...(written === undefined ? [] : linesOf(written, files))]);
    const counting = effective === undefined ? lines : new Map([...linesOf(effective.global, effective), ...linesOf(section, effective)]);
    const values = new Map([...counting].map(([name, { value }]) => [name, value]));
    if (isNo(values.get('available')) || isYes(values.get('printable'))) continue;
    shares.push({ name: section.name, place: written?.place, written: written?.settings ?? [], values, lines });
  }
  return shares;
}

/** The last line of each name; what is copied comes first, as a copy does not overrule. */
function linesOf(section: Section, conf: SmbConf, copying: readonly string[] = []): Map<string, Setting> {
  const lines = new Map<string, Setting>();
  const own = new Map(section.settings.map((setting) => [setting.name, setting]));
  const source = own.get('copy')?.value.toLowerCase() ?? '';
  const copied = copying.includes(source) ? undefined : conf.shares.get(source);
  if (copied !== undefined) {
    for (const [name, setting] of linesOf(copied, conf, [...copying, source])) if (!notCopied.has(name)) lines.set(name, setting);
  }
  for (const [name, setting] of own) lines.set(name, setting);
  return lines;
}
