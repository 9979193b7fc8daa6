/**
 * How names are stored where not every name can be: what cannot stand there is written as %XX (its bytes in hexadecimal), and "%" itself where it would be read as such. Pure. In: a path; out: the path as stored, and back.
 *
 * Invariants:
 * 1. `decodePath(encodePath(path, kind)) === path` for every path and kind.
 * 2. Different paths are stored differently.
 */
import type { Abilities } from './destination.js';
import { bytesOf, fromBytes, toText } from './paths.js';

type Kind = Abilities['names'];

/** Names that Windows keeps for devices. */
const device = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/i;
const escapes = /%(?=[0-9A-F]{2})/g;

/** A whole path, name by name. */
export function encodePath(path: string, kind: Kind): string {
  return kind === 'bytes' ? path : path.split('/').map((name) => encodeName(name, kind)).join('/');
}

export function decodePath(stored: string, kind: Kind): string {
  return kind === 'bytes' ? stored : stored.replace(/%([0-9A-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

function encodeName(name: string, kind: Kind): string {
  // Control characters end commands; a space in front or behind is lost on the way.
  let stored = name.replace(escapes, '%25').replace(/[\x00-\x1f\x7f]|^ | $/g, percent);
  // What servers take for a pattern, or for something of Windows.
  if (kind === 'server') stored = stored.replace(/[\\*?]/g, percent);
  if (kind === 'windows') {
    stored = stored.replace(/[<>:"\\|?*]|[. ]$/g, percent);
    if (device.test(stored)) stored = percent(stored.charAt(0)) + stored.slice(1);
  }
  return toText(stored) === undefined ? encodeBytes(stored) : stored;
}

/** Of a name that is no text, every byte that is not ASCII. */
function encodeBytes(name: string): string {
  return fromBytes(bytesOf(name)).replace(/[\x80-\xff]/g, percent);
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
