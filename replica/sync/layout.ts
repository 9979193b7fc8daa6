/**
 * What a sync keeps at the other side, and which names are never synced. Pure.
 *
 * ```
 * tidemark-sync/NAME-ID/          of one sync; ID begins the id of its volume, so that several machines may use one drive
 *   sync.json                     whose it is, what the place can keep
 *   staged/                       files that are arriving
 *   replaced/T/                   what a sync replaced or removed although somebody had changed it, by path
 * ```
 */
import type { Owner } from '../binding.js';
import { isBelow, nameOf } from '../paths.js';

export const syncPlace = 'tidemark-sync';

export function ownPlace({ name, volume }: Pick<Owner, 'name' | 'volume'>): string {
  return `${syncPlace}/${name}-${volume.slice(0, 12)}`;
}

/** What file systems and other systems keep at the root of a drive. */
const litter: ReadonlySet<string> = new Set(['.tidemark', 'lost+found', 'System Volume Information', '$RECYCLE.BIN', '.Trashes', '.Spotlight-V100', '.fseventsd']);
const temporary = /^\.tidemark-sync-[\w.-]+-[0-9a-f]{12}$/;

/** Names that no sync touches. */
export function isOurs(path: string): boolean {
  return isBelow(path, syncPlace) || litter.has(path.split('/', 1)[0]!) || temporary.test(nameOf(path));
}

/** In the volume a file is made beside its place under such a name. */
export function temporaryName(sync: string, digits: string): string {
  return `.tidemark-sync-${sync}-${digits}`;
}

/** true for a file that an earlier run of this sync has left behind. */
export function isLeftOver(path: string, sync: string): boolean {
  return temporary.test(nameOf(path)) && nameOf(path).startsWith(`.tidemark-sync-${sync}-`) && nameOf(path).length === temporaryName(sync, '').length + 12;
}
