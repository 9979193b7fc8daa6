/**
 * What is sent to sinks: one alarm, a digest, or a test. In: what happened. Out: the message, which is also the JSON that commands and webhooks get. Pure.
 */
import type { AlarmName } from '../../engine/alarm-rules.js';
import type { AlarmEvent } from '../../engine/alarm-states.js';

export interface Message {
  readonly event: AlarmEvent | 'test' | 'digest';
  /** null for a test and the digest. */
  readonly alarm: AlarmName | null;
  readonly host: string;
  /** The protected directory. */
  readonly volume: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  /** Since when the alarm has been raised. */
  readonly since: string | null;
  /** One line for people: it names the volume. */
  readonly text: string;
  /** What to do; null where there is nothing to be done. */
  readonly remedy: string | null;
  /** Of the digest: a line each. */
  readonly lines: readonly string[];
}

export interface Sender {
  readonly host: string;
  readonly volume: string;
}

export interface Told {
  readonly event: AlarmEvent;
  readonly alarm: AlarmName;
  readonly what: string;
  readonly remedy: string;
  readonly sinceMs: number;
}

const prefixes: Readonly<Record<AlarmEvent, string>> = { raised: '', worse: 'worse: ', repeated: 'still: ', ended: 'over: ' };

export function alarmMessage(sender: Sender, told: Told, nowMs: number): Message {
  return {
    ...plain(sender, nowMs, told.event, `${prefixes[told.event]}${told.what}`),
    alarm: told.alarm, since: new Date(told.sinceMs).toISOString(), remedy: told.event === 'ended' ? null : told.remedy,
  };
}

export function testMessage(sender: Sender, nowMs: number): Message {
  return plain(sender, nowMs, 'test', 'this is a test of the alarms; all is well');
}

export function digestMessage(sender: Sender, nowMs: number, lines: readonly string[]): Message {
  return { ...plain(sender, nowMs, 'digest', 'daily digest'), lines: lines.map(oneLine) };
}

/** For mail. */
export function subjectOf(message: Message): string {
  return `[tidemark] ${oneLine(message.host)}: ${message.text}`;
}

export function bodyOf(message: Message): string {
  const since = message.since === null ? [] : [`Since: ${message.since}`];
  const remedy = message.remedy === null ? [] : [`What to do: ${message.remedy}`];
  return [message.text, '', ...message.lines, ...since, ...remedy, `Host: ${message.host}`, `Time: ${message.time}`, ''].join('\n');
}

function plain({ host, volume }: Sender, nowMs: number, event: Message['event'], what: string): Message {
  return { event, alarm: null, host, volume, time: new Date(nowMs).toISOString(), since: null, text: oneLine(`${volume}: ${what}`), remedy: null, lines: [] };
}

/** A directory's name may hold anything. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
