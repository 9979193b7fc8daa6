/**
 * Looks into a mount and says how long each look took. In: one JSON argument, what to do in order. Out: milliseconds, a JSON list of the same length. A process of its
 * own, since the benchmark itself touches no mount.
 *
 * Invariants:
 * 1. Times are of one system call, or of one directory read to its end; a look that fails ends the program.
 */
import { closeSync, openSync, readSync, readdirSync, statSync, utimesSync } from 'node:fs';

/** `list`: read a directory; `stat`: resolve a path; `read`: open a file and read it, which must give `text`; `touch`: change a file's times. */
export type Look =
  | { readonly do: 'list' | 'stat' | 'touch'; readonly path: string }
  | { readonly do: 'read'; readonly path: string; readonly text: string };

function look(wanted: Look): void {
  switch (wanted.do) {
    case 'list': readdirSync(wanted.path); return;
    case 'stat': statSync(wanted.path); return;
    case 'touch': utimesSync(wanted.path, new Date(), new Date()); return;
    case 'read': read(wanted.path, wanted.text); return;
  }
}

function read(path: string, text: string): void {
  const bytes = Buffer.alloc(4096);
  const fd = openSync(path, 'r');
  const found = bytes.toString('utf8', 0, readSync(fd, bytes));
  closeSync(fd);
  if (found !== text) throw new Error(`${path} holds ${JSON.stringify(found)}, not ${JSON.stringify(text)}`);
}

const looks = JSON.parse(process.argv[2] ?? '[]') as Look[];
const times = looks.map((wanted) => {
  const startedAt = performance.now();
  look(wanted);
  return performance.now() - startedAt;
});
console.log(JSON.stringify(times));
