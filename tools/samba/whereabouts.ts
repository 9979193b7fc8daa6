/**
 * Where the path of a share lies: in which volume, and whether Samba gets to its history there. In: a path. Out: the volume, and what is in the way.
 *
 * Invariants:
 * 1. A directory that belongs to no volume is nobody's business here: nothing is said of it.
 */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { shown } from '../byte-path.js';
import { codeOf, CommandError, isAbsent } from '../errors.js';
import { tryLocate } from '../locate.js';
import { isOurs, mountAt } from '../mounts.js';

export interface Whereabouts {
  /** Where the volume is mounted; its directory while it is not. */
  readonly volume: string;
  /** The path as Samba should have it. */
  readonly path: string;
  /** What keeps Samba from the history there, with the remedy; undefined: nothing. */
  readonly obstacle: { readonly what: string; readonly write?: string } | undefined;
}

/** Undefined when the path lies in no volume, mounted or not. */
export function whereaboutsOf(path: string): Whereabouts | undefined {
  const real = realOf(path);
  try {
    const located = tryLocate(real ?? path);
    if (located === undefined) return unmounted(real ?? path);
    const volume = shown(located.mountpoint);
    const right = shown(located.path === '/' ? located.mountpoint : located.absolute);
    return { volume, path: right, obstacle: real === undefined ? { what: `${path} does not exist; make it first: mkdir -p ${path}` } : obstacleAt(path, real, right, volume) };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { volume: path, path, obstacle: { what: `${error.message}; ${error.remedy}` } };
  }
}

function obstacleAt(path: string, real: string, right: string, volume: string): Whereabouts['obstacle'] {
  const mount = mountAt(volume);
  if (mount !== undefined && isOurs(mount) && !mount.options.includes('allow_other')) {
    return { what: `${volume} was mounted for its owner alone, so Samba cannot get in; mount it as root, or with --allow-other` };
  }
  if (real !== right) return { what: `${path} is not the mounted volume but the files behind it: what is changed there has no history`, write: `path = ${right}` };
  // Samba makes nothing of doubled slashes and of dots.
  if (resolve(path) !== right) return { what: `${path} leads through a symlink, and then Samba cannot list directories of the past`, write: `path = ${right}` };
  return undefined;
}

/** A store above the path tells that it is protected, though not now. */
function unmounted(path: string): Whereabouts | undefined {
  for (let directory = path; directory !== dirname(directory); directory = dirname(directory)) {
    if (!existsSync(join(directory, '.tidemark', 'volume.json'))) continue;
    return { volume: directory, path, obstacle: { what: `${directory} is protected but not mounted; mount it: tidemark mount ${directory}` } };
  }
  return undefined;
}

/** Undefined when there is no such path, or none that can be looked at: a mount whose daemon has died. */
function realOf(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch (error) {
    if (isAbsent(error) || codeOf(error) === 'ENOTCONN') return undefined;
    throw error;
  }
}
