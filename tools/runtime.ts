/**
 * The runtime directory, where daemons leave their control sockets, registry files and logs: /run/tidemark for root,
 * $XDG_RUNTIME_DIR/tidemark or /tmp/tidemark-<uid> for others.
 *
 * Invariants:
 * 1. What is used was made by this user, is a directory and can be written by nobody else.
 * 2. Root's registry may be read by all (so that everybody's commands find the volume), its sockets and logs only by root.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { codeOf, CommandError } from './errors.js';

/** A Unix socket's path has at most 107 bytes; "/<32 digits>.sock" takes 38 of them. */
const longestPathBytes = 107 - 38;
const rootsDirectory = '/run/tidemark';

/** Where this user's daemons register, whether or not it exists yet. TIDEMARK_RUNTIME_DIR overrides it. */
export function runtimePath(): string {
  const uid = process.getuid?.() ?? 0;
  const chosen = process.env['TIDEMARK_RUNTIME_DIR'];
  if (chosen !== undefined && chosen !== '') return chosen;
  if (uid === 0) return rootsDirectory;
  const session = process.env['XDG_RUNTIME_DIR'];
  return session !== undefined && session.startsWith('/') ? join(session, 'tidemark') : `/tmp/tidemark-${uid}`;
}

/** Directories whose registries this user's commands read: his own first, then root's. */
export function registryPaths(): string[] {
  return [...new Set([runtimePath(), rootsDirectory])];
}

/** The runtime directory, made if need be. Throws CommandError when another user could have prepared it. */
export function ensureRuntime(): string {
  const path = runtimePath();
  const uid = process.getuid?.() ?? 0;
  try {
    mkdirSync(path, { recursive: true, mode: uid === 0 ? 0o755 : 0o700 });
  } catch (error) {
    throw new CommandError(`cannot make the runtime directory ${path} (${codeOf(error) ?? 'unknown error'})`, 'set XDG_RUNTIME_DIR to a directory of yours');
  }
  const stat = lstatSync(path);
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o022) !== 0) {
    throw new CommandError(`${path} is not a directory that only you can write`, 'remove it, or set XDG_RUNTIME_DIR to a directory of yours');
  }
  if (Buffer.byteLength(path) > longestPathBytes) {
    throw new CommandError(`the path of the runtime directory ${path} is too long for a socket`, 'set XDG_RUNTIME_DIR to a shorter one');
  }
  return path;
}

/** A file name for the log of the daemon of a directory: readable, and different for different directories. */
export function logName(directory: string): string {
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 8);
  const readable = basename(directory).replace(/[^\w.-]/g, '_').slice(0, 40);
  return `${readable === '' ? 'root' : readable}-${hash}.log`;
}
