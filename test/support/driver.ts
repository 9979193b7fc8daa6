/**
 * Which driver the mounts of a test have: TIDEMARK_DRIVER, else the first. So a test of what a mount does is one for each driver (test/drivers).
 */
import { messageOf } from '../../engine/errors.js';
import { loadFuseNative } from '../../fs/drivers/fuse-native-package.js';
import { driverNames } from '../../fs/drivers/names.js';
import type { DriverName } from '../../fs/drivers/names.js';

export const testedDriver: DriverName = driverNames.find((name) => name === process.env['TIDEMARK_DRIVER']) ?? driverNames[0];

/** false, or why a test is skipped for every driver but `native`: a word of docs/SEMANTICS.md on what libfuse 2 cannot do. */
export function nativeOnly(why: string): string | false {
  return testedDriver === 'native' ? false : `${testedDriver}: ${why}`;
}

/** For tap's `skip`: false when the driver fuse-native can be used here, else the reason. */
export function unlessFuseNative(): string | false {
  try {
    loadFuseNative();
    return false;
  } catch (error) {
    if ((process.env['TIDEMARK_REQUIRE_ALL'] ?? '') !== '') throw error;
    return messageOf(error);
  }
}
