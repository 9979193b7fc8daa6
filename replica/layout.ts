/**
 * What lies where at a destination, and the headers of the files that Tidemark writes there.
 *
 * ```
 * LastBackup/                     the tree as of the last finished run
 * PreviousBackup/@T/              of the backup of time T what later runs have replaced or removed
 * PreviousBackup/@T/tidemark-changes.json
 * tidemark-manifest.json          what LastBackup is; written last
 * tidemark-work/                  what a run needs meanwhile
 *   destination.json              whose destination it is, what it can keep
 *   staged/                       files that have arrived
 *   manifest.new                  the manifest that the run will publish
 *   switch.json                   what it moves, from before the first move until all is published
 * ```
 */
import type { Abilities } from './destination.js';

export const lastBackup = 'LastBackup';
export const previousBackup = 'PreviousBackup';
export const manifestName = 'tidemark-manifest.json';
export const changesName = 'tidemark-changes.json';
export const workPlace = 'tidemark-work';
export const bindingName = `${workPlace}/destination.json`;
export const stagedPlace = `${workPlace}/staged`;
export const nextManifest = `${workPlace}/manifest.new`;
export const switchName = `${workPlace}/switch.json`;
export const nextSwitch = `${workPlace}/switch.new`;
/** Of directories beside LastBackup that are on their way out. */
export const mergingName = `${workPlace}/merging.json`;

export const backupFormat = 1;

/** Whose a destination is. */
export interface Binding {
  readonly format: number;
  readonly volume: string;
  readonly name: string;
  readonly directory: string;
  readonly host: string;
  readonly abilities: Abilities;
}

export interface ManifestHeader {
  readonly format: number;
  readonly kind: 'backup';
  readonly volume: string;
  readonly name: string;
  readonly directory: string;
  readonly host: string;
  /** The snapshot that it is a copy of: its number in the volume's history, its time. */
  readonly txid: string;
  readonly time: string;
  /** How names are stored. */
  readonly names: Abilities['names'];
  readonly files: number;
  readonly directories: number;
  /** Of all files. */
  readonly bytes: number;
}

export interface ChangesHeader {
  readonly format: number;
  readonly kind: 'changes';
  readonly volume: string;
  /** The snapshot that these files belonged to. */
  readonly txid: string;
  readonly time: string;
}

/** In a file of changes: a path that was not there. */
export interface AbsentLine {
  readonly path: string;
  readonly pathHex?: string;
  readonly absent: true;
}
