/**
 * What a directory must hold, and how it differs. In: a directory, live or below `.snapshots`. Out: complaints.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface Expected {
  readonly files: readonly { readonly name: string; readonly digest: string }[];
  /** Names that may be there or not, with whatever content. */
  readonly unsure: readonly string[];
}

/** Tells which moment a directory shows. */
export const momentName = 'moment';

export function digestOf(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

export function differences(directory: string, { files, unsure }: Expected): string[] {
  const complaints: string[] = [];
  const found = new Set(readdirSync(directory));
  for (const { name, digest } of files) {
    if (!found.delete(name)) complaints.push(`${directory} lacks ${name}`);
    else if (digestOf(readFileSync(join(directory, name))) !== digest) complaints.push(`${join(directory, name)} has other bytes`);
  }
  for (const name of unsure) found.delete(name);
  for (const name of found) complaints.push(`${directory} has ${name}, which nobody made`);
  return complaints;
}
