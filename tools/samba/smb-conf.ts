/**
 * Reads smb.conf as Samba does, and remembers where each setting stands. In: the path of a file, and a way to read files. Out: its sections, with what
 * is included where it is included.
 *
 * Invariants:
 * 1. Names of sections and settings compare without regard to case, those of settings without regard to blanks either.
 * 2. A section that is opened again goes on; one that an included file has opened stays open behind the include.
 * 3. Of settings that stand in a section several times all are told, in order; the last one counts.
 */

export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

export interface Setting {
  /** In lower case, without blanks: "vfsobjects", "shadow:snapdir". */
  readonly name: string;
  /** As the file has it. */
  readonly writtenName: string;
  readonly value: string;
  readonly place: Place;
}

export interface Section {
  /** As it was written first. */
  readonly name: string;
  readonly place: Place;
  readonly settings: Setting[];
}

export interface SmbConf {
  readonly global: Section;
  /** By name in lower case, in the order of the files. */
  readonly shares: ReadonlyMap<string, Section>;
  /** Includes that are another file for each client (they have a % in their path) or come from the registry. */
  readonly unread: readonly Setting[];
}

/** Gives the text of a file; undefined when there is none. */
export type ReadText = (path: string) => string | undefined;

/** As deep as Samba goes. */
const deepestInclude = 100;
/** Other names of the settings that matter here. */
const synonyms: Readonly<Record<string, string>> = { directory: 'path', vfsobject: 'vfsobjects', printok: 'printable' };

/** The name of a setting as it is compared. */
export function settingName(written: string): string {
  const name = written.toLowerCase().replace(/\s/g, '');
  return synonyms[name] ?? name;
}

/** true for what Samba takes for yes; false for anything else, as nothing else turns anything on. */
export function isYes(value: string | undefined): boolean {
  return /^(yes|true|on|1)$/i.test(value ?? '');
}

/** true for what Samba takes for no. */
export function isNo(value: string | undefined): boolean {
  return /^(no|false|off|0)$/i.test(value ?? '');
}

/** Reads a configuration. Throws SyntaxError for a line that Samba does not read on behind; `file` itself must be there. */
export function readSmbConf(file: string, read: ReadText): SmbConf {
  const reader = new Reader(file, read);
  reader.include(file, 0);
  return reader;
}

class Reader implements SmbConf {
  readonly global: Section;
  readonly shares = new Map<string, Section>();
  readonly unread: Setting[] = [];
  readonly #read: ReadText;
  #current: Section;

  constructor(file: string, read: ReadText) {
    this.global = { name: 'global', place: { file, line: 1 }, settings: [] };
    this.#current = this.global;
    this.#read = read;
  }

  include(file: string, depth: number): void {
    const text = this.#read(file);
    if (text === undefined || depth > deepestInclude) return;
    const lines = text.split(/\r?\n/);
    for (let index = 0; index < lines.length; index++) {
      const place = { file, line: index + 1 };
      let line = (lines[index] ?? '').trim();
      if (line === '' || line.startsWith(';') || line.startsWith('#')) continue;
      while (line.endsWith('\\')) line = `${line.slice(0, -1)}${(lines[++index] ?? '').trim()}`;
      if (line.startsWith('[')) this.#open(line, place);
      else this.#set(line, place, depth);
    }
  }

  #open(line: string, place: Place): void {
    const name = /^\[([^\]]*)\]/.exec(line)?.[1]?.trim() ?? '';
    if (name === '') throw new SyntaxError(`${place.file}:${place.line}: ${line} opens no section: a name in brackets is missing`);
    const key = name.toLowerCase();
    if (key === 'global' || key === 'globals') {
      this.#current = this.global;
      return;
    }
    const section = this.shares.get(key) ?? { name, place, settings: [] };
    this.shares.set(key, section);
    this.#current = section;
  }

  /** Samba passes over a line without "=". */
  #set(line: string, place: Place, depth: number): void {
    const equals = line.indexOf('=');
    if (equals <= 0) return;
    const writtenName = line.slice(0, equals).trim();
    const setting = { name: settingName(writtenName), writtenName, value: line.slice(equals + 1).trim(), place };
    if (setting.name !== 'include') this.#current.settings.push(setting);
    else if (setting.value.includes('%') || setting.value === 'registry') this.unread.push(setting);
    else this.include(setting.value, depth + 1);
  }
}
