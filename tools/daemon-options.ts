/**
 * What a daemon is told when it starts, and what it tells its parent before it serves: the two messages between
 * launch.ts and daemon.ts.
 */
import { z } from 'zod';
import { driverNames } from '../fs/drivers/names.js';

/** Given to the daemon as one JSON argument. */
export const daemonOptionsSchema = z.strictObject({
  /** The protected directory and where to mount it; real paths. */
  directory: z.string().startsWith('/'),
  mountpoint: z.string().startsWith('/'),
  history: z.enum(['exact', 'strict', 'relaxed']),
  exclude: z.array(z.string()),
  writeback: z.boolean(),
  intervalMs: z.number().int().min(10).max(60_000),
  keepAwake: z.boolean(),
  snapshotsVisible: z.boolean(),
  snapshotAccess: z.enum(['then-and-now', 'then']),
  /** Other users may enter (root's mounts always let them). */
  allowOther: z.boolean(),
  driver: z.enum(driverNames),
  /** A process of its own holds the mount while daemons come and go. */
  keeper: z.boolean(),
  /** Where Prometheus may ask. */
  metricsListen: z.strictObject({ address: z.string(), port: z.number().int().min(1).max(65535) }).optional(),
  /** Where to write the log; its directory takes the socket and the registry entry. */
  log: z.string().startsWith('/'),
  /** "parent": unmount and end when the parent ends; "unmount": live on until unmounted. */
  until: z.enum(['parent', 'unmount']),
});

export type DaemonOptions = z.infer<typeof daemonOptionsSchema>;

/** Sent to the parent once, before it serves or before it gives up. */
export type Started = { readonly ready: Ready } | { readonly failed: { readonly code: string; readonly message: string } };

export interface Ready {
  readonly pid: number;
  readonly protocol: string;
  readonly features: readonly string[];
  readonly notices: readonly string[];
}
