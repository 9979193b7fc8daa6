/**
 * The share section that lets Windows show previous versions from a volume. In: a directory. Out: settings, and the section's text.
 *
 * Why these: with `snapdirseverywhere` Samba asks the `.snapshots` of the directory that a file lies in, so that the versions of a file are the times at which its
 * directory changed, and a share may begin anywhere in a volume: no setting has to say where that is mounted. Where a directory is gone, Samba goes up by
 * itself. `fixinodes` keeps a file and its version apart for clients that compare their numbers.
 */
import { settingName } from './smb-conf.js';

/** What `.snapshots` calls a moment, as strptime(3) has it; the Z says UTC. */
export const nameFormat = '@%Y-%m-%dT%H-%M-%SZ';

/** The settings that make previous versions, in the order in which they are written. */
const shadowSettings: readonly (readonly [string, string])[] = [
  ['vfs objects', 'shadow_copy2'],
  ['shadow:snapdir', '.snapshots'],
  ['shadow:snapdirseverywhere', 'yes'],
  ['shadow:format', nameFormat],
  ['shadow:sort', 'desc'],
  ['shadow:localtime', 'no'],
  ['shadow:fixinodes', 'yes'],
];

export interface ReadySection {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** The section for a directory (its real path in the mounted volume). */
export function readySection(name: string, path: string): ReadySection {
  return { name, settings: Object.fromEntries([['path', path], ['read only', 'no'], ...shadowSettings]) };
}

export function sectionText({ name, settings }: ReadySection): string {
  return `[${name}]\n${Object.entries(settings).map(([setting, value]) => `   ${setting} = ${value}\n`).join('')}`;
}

/** The line to write for a setting, by the name it is compared with. */
export function readyLine(name: string): string {
  const [written, value] = shadowSettings.find(([setting]) => settingName(setting) === name) ?? [name, ''];
  return `${written} = ${value}`;
}

/** A name for the share, made from the directory's: what Samba does not take in a name is left out. */
export function shareName(directoryName: string): string {
  const name = directoryName.replace(/[\u0000-\u001f%<>*?|/\\+=;:",[\]]/g, '').trim();
  return isShareName(name) ? name : 'data';
}

/** true for a name that Samba takes, and gives no other meaning. */
export function isShareName(name: string): boolean {
  return /^[^\u0000-\u001f%<>*?|/\\+=;:",[\]]{1,80}$/.test(name) && name.trim() === name && !/^(globals?|homes|printers|print\$|ipc\$)$/i.test(name);
}
