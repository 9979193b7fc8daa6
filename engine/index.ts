/** What the engine offers to the mount, the commands and replication. */
export { MomentError, VolumeError, codeOf, messageOf } from './errors.js';
export type { MomentFault, VolumeErrorCode } from './errors.js';
export { formatMoment, localTime } from './moments.js';
export { replaceFile } from './store-files.js';
export type { History } from './ports.js';
export type { Step, StepFile, StepName } from './steps.js';
export type * from './types.js';
export { Volume } from './volume.js';
export type { VolumeOpenOptions } from './opening.js';
export { isFollowing } from './replication.js';
export type { Replication } from './replication.js';
export { loadFileCalls } from './native.js';
export { openStoreFiles, syncDirectory } from './store-files.js';
