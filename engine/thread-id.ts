/** Linux's number of the calling thread, by which its priority can be set (NativeAddon.setThreadIdle). */
import { readlinkSync } from 'node:fs';

export function ownThreadId(): number {
  // "<pid>/task/<tid>"
  return Number(readlinkSync('/proc/thread-self').split('/').at(-1));
}
