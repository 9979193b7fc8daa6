/**
 * What an administrator has chosen for the alarms and the scrub: limits, sinks, the digest. Kept in the store as `alarms.json`. In: its text, and changes to it. Out: a configuration.
 *
 * Invariants:
 * 1. What is kept was checked against the schema, is replaced whole, and is its owner's alone to read: a webhook's URL may be a secret.
 * 2. A file that cannot be read is never overwritten: whoever wrote it can correct it.
 * 3. There is no password in it: it names the file, or the variable of the daemon's environment, that holds one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { defaultLimits } from '../../engine/alarm-rules.js';
import { codeOf, VolumeError } from '../../engine/errors.js';
import { defaultScrubSettings } from '../../engine/scrub-pace.js';
import { replaceFile, syncDirectory } from '../../engine/store-files.js';
import { defined } from '../defined.js';

export const sinksMax = 20;
const absolutePath = z.string().startsWith('/').max(4096);
/** One that a mail can be sent to or from. */
export const addressSchema = z.string().regex(/^[^\s<>@,;]+@[^\s<>@,;]+$/).max(254);
const digest = z.boolean();

export const sinkSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('log'), digest }),
  z.strictObject({ type: z.literal('command'), path: absolutePath, digest }),
  z.strictObject({ type: z.literal('webhook'), url: z.url({ protocol: /^https?$/ }).max(2048).refine((url) => !/^https?:\/\/[^/?#]*@/i.test(url), 'no user and password'), digest }),
  z.strictObject({
    type: z.literal('mail'), to: addressSchema, from: addressSchema, digest,
    /** smtp://[user@]host[:port] or smtps://…, without a password. */
    smtp: z.url({ protocol: /^smtps?$/ }).max(1024).refine((url) => !/^smtps?:\/\/[^/?#]*:[^/?#]*@/i.test(url), 'no password'),
    passwordFile: absolutePath.optional(),
    /** Of the daemon's environment. */
    passwordVariable: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/).max(255).optional(),
  }),
]);

export type Sink = z.infer<typeof sinkSchema>;

const dayMs = 86_400_000;
const limits = z.strictObject({
  indexLagBytes: z.number().int().min(1 << 20),
  indexLagMs: z.number().int().min(1000).max(30 * dayMs),
  logSyncMs: z.number().int().min(1000).max(30 * dayMs),
  diskDays: z.number().min(0).max(3650),
  diskFreePercent: z.number().min(0).max(100),
});
const scrub = z.strictObject({ roundMs: z.number().int().min(1000).max(3650 * dayMs), bytesPerSecond: z.number().int().min(64 << 10).max(2 ** 40) });
export const massChangeModes = ['off', 'alarm', 'hold'] as const;
const massChange = z.strictObject({ mode: z.enum(massChangeModes), files: z.number().int().min(10).max(10_000) });
const digestAt = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/);
const checkEveryMs = z.number().int().min(1000).max(3_600_000);

const defaultMassChange = { mode: 'alarm', files: 60 } as const;
const configSchema = z.strictObject({
  format: z.literal(1), checkEveryMs, digestAt, limits, scrub, massChange: massChange.default(defaultMassChange), sinks: z.array(sinkSchema).max(sinksMax),
});
export type AlarmConfig = z.infer<typeof configSchema>;

/** What `tidemark alarms` can ask for at once. */
export const changeSchema = z.strictObject({
  add: sinkSchema.optional(), remove: z.string().max(4200).optional(), limits: limits.partial().optional(), scrub: scrub.partial().optional(),
  massChange: massChange.partial().optional(),
  digestAt: digestAt.optional(), checkEveryMs: checkEveryMs.optional(),
});
export type AlarmChange = z.infer<typeof changeSchema>;

export const defaultConfig: AlarmConfig = {
  format: 1, checkEveryMs: 15_000, digestAt: '07:00', limits: { ...defaultLimits }, scrub: { ...defaultScrubSettings },
  massChange: { ...defaultMassChange }, sinks: [{ type: 'log', digest: false }],
};

/** As users write it, and take it away again. */
export function sinkName(sink: Sink): string {
  switch (sink.type) {
    case 'log': return 'log';
    case 'command': return `command:${sink.path}`;
    case 'webhook': return `webhook:${sink.url}`;
    case 'mail': return `mail:${sink.to}`;
  }
}

/** For logs: a webhook's path may be a secret. */
export function sinkLabel(sink: Sink): string {
  return sink.type === 'webhook' ? `webhook:${new URL(sink.url).origin}` : sinkName(sink);
}

/** The configuration with a change. Throws VolumeError with the remedy, and then nothing has changed. */
export function changeConfig(config: AlarmConfig, change: AlarmChange): AlarmConfig {
  let sinks = config.sinks;
  if (change.remove !== undefined) sinks = without(sinks, change.remove);
  if (change.add !== undefined) sinks = [...withoutIfThere(sinks, sinkName(change.add)), change.add];
  if (sinks.length > sinksMax) throw new VolumeError('EINVAL', `there are ${sinksMax} sinks already; remove one first: --remove-sink`);
  return {
    ...config, sinks, limits: { ...config.limits, ...defined(change.limits) }, scrub: { ...config.scrub, ...defined(change.scrub) },
    massChange: { ...config.massChange, ...defined(change.massChange) },
    digestAt: change.digestAt ?? config.digestAt, checkEveryMs: change.checkEveryMs ?? config.checkEveryMs,
  };
}

/** `store`: the directory `.tidemark`. The defaults where nothing was ever chosen. Throws VolumeError when the file is no good. */
export function readConfig(store: string): AlarmConfig {
  let text: string;
  try {
    text = readFileSync(pathIn(store), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return defaultConfig;
    throw new VolumeError('EACCES', `alarms.json in the store cannot be read (${codeOf(error)}); correct its permissions`);
  }
  const parsed = configSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  throw new VolumeError('EINVAL', `alarms.json in the store is not what it should be${where} (${issue?.message ?? 'unknown'}); correct it, or remove it and choose anew`);
}

export function keepConfig(store: string, config: AlarmConfig): void {
  replaceFile(pathIn(store), configSchema.parse(config));
  syncDirectory(store);
}

function pathIn(store: string): string {
  return join(store, 'alarms.json');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function without(sinks: readonly Sink[], name: string): Sink[] {
  const left = withoutIfThere(sinks, name);
  if (left.length === sinks.length) throw new VolumeError('EINVAL', `there is no sink ${name}; ${sinks.length === 0 ? 'there is none at all' : `there are: ${sinks.map(sinkName).join(', ')}`}`);
  return left;
}

function withoutIfThere(sinks: readonly Sink[], name: string): Sink[] {
  return sinks.filter((sink) => sinkName(sink) !== name);
}
