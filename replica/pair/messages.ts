/**
 * What is said in HELLO, WELCOME, REFUSED and the questions of an initial sync (docs/FORMAT.md), checked as it comes in. In: JSON of a frame. Out: values of which every field
 * is what it says.
 *
 * Invariants:
 * 1. Nothing of what the other side says is used before it was checked here.
 * 2. Another version, or a field that is not known, is refused.
 */
import { z } from 'zod';
import { FrameError, decodeJson } from './frame.js';
import type { Frame } from './frame.js';

export const protocolVersion = 1;

const node = z.string().regex(/^[0-9a-f]{16}$/);
const name = z.string().max(256);
const number = z.string().regex(/^\d{1,17}$/);
const role = z.enum(['primary', 'standby']);
const terms = z.array(z.strictObject({ term: z.number().int().positive(), after: number, node })).max(100_000);
const port = z.number().int().min(1).max(65535);
const id = z.number().int().nonnegative();

export const helloSchema = z.strictObject({
  protocol: z.literal(protocolVersion),
  node, name, role, terms,
  /** join: the token is to be redeemed; follow: send what I lack; look: only tell who you are; compare: answer questions about any moment. */
  purpose: z.enum(['join', 'follow', 'look', 'compare']),
  volume: z.string().regex(/^[0-9a-f]{32}$/),
  token: z.string().max(64).optional(),
  /** Where this node listens itself, on the address it calls from. */
  port: port.optional(),
  /** Its last transaction; missing: it has none yet, and wants an initial sync (at `base`, if that is still kept). */
  position: z.strictObject({ txid: number, checksum: z.number().int().nonnegative() }).optional(),
  base: number.optional(),
  /** After a rewind: its own transactions have numbers up to here, so that nothing with a lower one can follow. */
  above: number.optional(),
});

const transaction = z.strictObject({
  from: number, txid: number, timeNs: z.string().regex(/^\d{1,20}$/),
  uid: z.number().int(), gid: z.number().int(), pid: z.number().int(), command: z.string().max(64), reason: z.string().max(32),
  external: z.boolean(), recovered: z.boolean(), quiescent: z.boolean(), shared: z.enum(['processes', 'actors']).exactOptional(),
});

export const welcomeSchema = z.strictObject({
  node, name, role, terms,
  /** What the standby's history is to the primary's. */
  history: z.enum(['none', 'initial', 'behind', 'follows', 'diverged']),
  /** initial, behind: the moment to begin with. diverged: the last common transaction, as `common`. */
  base: transaction.optional(),
  root: z.string().regex(/^\d{1,30}$/).optional(),
  common: number.optional(),
});

export const refusedSchema = z.strictObject({
  code: z.enum(['token', 'unknown', 'not-primary', 'superseded', 'conflict', 'version', 'busy']),
  message: z.string().max(2000),
  terms: terms.optional(),
});

const file = z.string().regex(/^\d{1,30}$/);
export const listSchema = z.strictObject({ id, file });
export const hashSchema = z.strictObject({ id, file });
export const readSchema = z.strictObject({ id, file, offset: z.number().int().nonnegative(), length: z.number().int().min(1).max(256 * 1024) });
export const acknowledgedSchema = z.strictObject({ txid: number });

const entry = z.strictObject({
  name: z.string().min(1).max(255), file, mode: z.number().int(), uid: z.number().int(), gid: z.number().int(), nlink: z.number().int(),
  rdev: number.or(z.string().max(24)), size: z.number().int().nonnegative(), atimeNs: z.string().max(24), mtimeNs: z.string().max(24),
  target: z.string().max(4096).optional(), xattrs: z.array(z.tuple([z.string().max(255), z.string()])),
});
export const listedSchema = z.strictObject({ id, entries: z.array(entry), last: z.boolean() });
export const momentsSchema = z.strictObject({ id, after: number, most: z.number().int().min(1).max(5_000) });
export const momentsToldSchema = z.strictObject({ id, moments: z.array(z.strictObject({ txid: number, checksum: z.number().int().nonnegative() })).max(5_000) });
export const atSchema = z.strictObject({ id, txid: number });
export const rootSchema = z.strictObject({ id, file });
export const hashedSchema = z.strictObject({ id, hash: z.string() });
export const failedSchema = z.strictObject({ id, code: z.string().max(32), message: z.string().max(2000) });
export const beginSchema = transaction;
export const handedSchema = z.strictObject({ txid: number.optional(), message: z.string().max(2000).optional() });
export const commitSchema = z.strictObject({ txid: number, checksum: z.number().int().nonnegative() });

export type Hello = z.infer<typeof helloSchema>;
export type Welcome = z.infer<typeof welcomeSchema>;
export type Refused = z.infer<typeof refusedSchema>;
export type ListedFile = z.infer<typeof entry>;

/** Throws FrameError for what does not fit. */
export function readMessage<T>(schema: z.ZodType<T>, frame: Frame): T {
  const result = schema.safeParse(decodeJson(frame));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new FrameError(`a frame of type ${frame.type} says what this version does not know (${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}); both nodes need the same version of tidemark`);
}
