/**
 * The line that `pair invite` prints and `pair join` takes: `tidemark://HOST:PORT/VOLUME#TOKEN.FINGERPRINT`. In: its parts. Out: one line, and the other way round.
 *
 * Invariants:
 * 1. decode(encode(x)) equals x.
 */
import { VolumeError } from '../../engine/index.js';
import type { Address } from './state.js';

export interface InvitationLine {
  readonly address: Address;
  /** The volume's id. */
  readonly volume: string;
  readonly token: string;
  /** Of the certificate that has to answer there. */
  readonly fingerprint: string;
}

export const defaultPort = 7117;

export function encodeInvitation({ address, volume, token, fingerprint }: InvitationLine): string {
  return `tidemark://${formatAddress(address)}/${volume}#${token}.${fingerprint}`;
}

/** Throws VolumeError EINVAL. */
export function decodeInvitation(line: string): InvitationLine {
  const match = /^tidemark:\/\/(.+)\/([0-9a-f]{32})#([\w-]{20,64})\.([0-9a-f]{64})$/.exec(line.trim());
  if (match === null) throw new VolumeError('EINVAL', 'this is no invitation; give the whole line that "tidemark pair invite" printed, in quotes');
  return { address: parseAddress(match[1]!), volume: match[2]!, token: match[3]!, fingerprint: match[4]! };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** `HOST`, `HOST:PORT`, `[IPv6]:PORT`. Throws VolumeError EINVAL. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (match === null || port < 1 || port > 65535) throw new VolumeError('EINVAL', `${text} is no address; write HOST, HOST:PORT or [IPv6]:PORT`);
  return { host: (match[1] ?? match[2])!, port };
}
