/** What the folder fs/ offers to others: mounting a volume. */
export { mountVolume, prepareDriver, UnknownDriverError } from './mount.js';
export type { MountVolumeOptions, Mounted } from './mount.js';
export type { Driver, DriverOptions, MountableVolume } from './drivers/driver.js';
