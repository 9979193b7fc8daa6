/**
 * The policy of a volume in its volume.json. In: the directory's root. Out: the policy's texts, which policy.ts reads.
 *
 * Invariants:
 * 1. The file is replaced whole, and synced: it names the volume.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VolumeError, messageOf } from './errors.js';
import { defaultPolicyText, readPolicy } from './policy.js';
import type { PolicyText } from './policy.js';
import { replaceFile, storeName, syncDirectory } from './store-files.js';

/** What was set, and defaults for the rest. Throws VolumeError EFORMAT when it cannot be read. */
export function readPolicyText(root: string): PolicyText {
  try {
    const { policy = {} } = JSON.parse(readFileSync(volumeFile(root), 'utf8')) as { policy?: Partial<PolicyText> };
    const text = { ...defaultPolicyText, ...policy };
    readPolicy(text);
    return text;
  } catch (error) {
    throw new VolumeError('EFORMAT', `the policy in volume.json cannot be read (${messageOf(error)}); set it anew: tidemark policy DIR --reset`, { cause: error });
  }
}

/** Globs of files that get no history; none where the policy cannot be read: then too much is kept rather than too little. */
export function policyExcludes(root: string): string[] {
  try {
    return readPolicy(readPolicyText(root)).rules.filter(({ limit }) => limit.kind === 'none').map(({ glob }) => glob);
  } catch (error) {
    if (error instanceof VolumeError) return [];
    throw error;
  }
}

/** Undefined: the defaults. Throws VolumeError EINVAL for a policy that makes no sense; then nothing is changed. */
export function keepPolicyText(root: string, text: PolicyText | undefined): void {
  if (text !== undefined) readPolicy(text);
  const { policy: _, ...rest } = JSON.parse(readFileSync(volumeFile(root), 'utf8')) as Record<string, unknown>;
  replaceFile(volumeFile(root), text === undefined ? rest : { ...rest, policy: text });
  syncDirectory(join(root, storeName));
}

function volumeFile(root: string): string {
  return join(root, storeName, 'volume.json');
}
