/** The names of the drivers, as users give them; the first is used when none is named. */
export const driverNames = ['native', 'fuse-native'] as const;

export type DriverName = (typeof driverNames)[number];
