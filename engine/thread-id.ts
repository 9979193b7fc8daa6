/** Linux's number of the calling thread. */
import { readlinkSync } from 'node:fs';

/** "<pid>/task/<tid>" has it. */
export function ownThreadId(): number {
  return Number(readlinkSync('/proc/thread-self').split('/').at(-1));
}
