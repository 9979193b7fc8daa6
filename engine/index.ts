/** What the engine offers to the mount, the commands and replication. */
export { MomentError, VolumeError, codeOf, messageOf } from './errors.js';
export type { MomentFault, VolumeErrorCode } from './errors.js';
export { formatMoment, localTime } from './moments.js';
export type { History } from './ports.js';
export type * from './types.js';
export { Volume } from './volume.js';
export type { VolumeOpenOptions } from './volume.js';
