/**
 * Tidemark as `--flame` watches it: as users start it, but Node tells perf what its JavaScript functions are called.
 *
 * Invariants:
 * 1. The tables of names, which Node puts where perf looks for them (/tmp/perf-PID.map), are gone after `stop`.
 */
import { rm } from 'node:fs/promises';
import { tidemark } from '../targets/tidemark.js';
import type { RunningTarget, Target } from '../targets/target.js';

/** The daemon takes Node's options over from the command that starts it, whose own table nobody reads. */
const launcher = [
  'bash', '-c', '"$0" --perf-basic-prof --interpreted-frames-native-stack "$@" & wait $!; status=$?; rm -f "/tmp/perf-$!.map"; exit $status', process.execPath,
];

export function watchedTidemark(): Target {
  const target = tidemark('tidemark', [], { launcher });
  return { ...target, start: async (directory, account) => withoutTable(await target.start(directory, account)) };
}

function withoutTable(running: RunningTarget): RunningTarget {
  const stop = async (): Promise<void> => {
    await running.stop();
    await rm(`/tmp/perf-${running.pid}.map`, { force: true });
  };
  return { ...running, stop };
}
