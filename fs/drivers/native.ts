/**
 * The driver `native`: the addon's own FUSE session. In: an open volume. Out: its Session. The live tree never enters JavaScript here.
 */
import type { Session } from '../../native/types.js';
import type { Driver, DriverOptions, MountableVolume } from './driver.js';

export const nativeDriver: Driver = {
  name: 'native',
  letsOthersIn: true,
  watchesBacking: false,
  prepare: () => undefined,
  mount(volume: MountableVolume, options: DriverOptions): Promise<Session> {
    return volume.native.mount(options);
  },
};
