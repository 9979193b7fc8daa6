/**
 * A C project built by make on the mount: it builds in parallel, make sees what is up to date (which needs exact times), and
 * builds again only what changed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { withMount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { runWell } from '../support/processes.js';

t.setTimeout(120_000);

const partCount = 12;

function writeProject(directory: string): void {
  mkdirSync(directory);
  const parts = Array.from({ length: partCount }, (_, index) => index);
  writeFileSync(join(directory, 'parts.h'), parts.map((part) => `int part${part}(void);\n`).join(''));
  for (const part of parts) writeFileSync(join(directory, `part${part}.c`), `#include "parts.h"\nint part${part}(void) { return ${part}; }\n`);
  const sum = parts.map((part) => `part${part}()`).join(' + ');
  writeFileSync(join(directory, 'main.c'), `#include <stdio.h>\n#include "parts.h"\nint main(void) { printf("%d\\n", ${sum}); return 0; }\n`);
  const objects = ['main', ...parts.map((part) => `part${part}`)].map((name) => `${name}.o`).join(' ');
  writeFileSync(join(directory, 'Makefile'), `program: ${objects}\n\tgcc -o $@ $^\n%.o: %.c parts.h\n\tgcc -c -o $@ $<\n`);
}

void t.test('make builds, sees what is up to date, and builds again what changed', { skip: await unlessInstalled('make', 'gcc') }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const directory = mount.path('project');
    const make = (...words: string[]): Promise<string> => runWell('make', ['-j4', ...words], { cwd: directory, environment: { LC_ALL: 'C' } });
    const result = (): Promise<string> => runWell(join(directory, 'program'), []);
    const sum = (partCount * (partCount - 1)) / 2;
    writeProject(directory);
    await make();
    t.equal(await result(), `${sum}\n`);
    t.match(await make(), /is up to date/);
    await mount.remount();
    t.match(await make(), /is up to date/, 'after a remount');
    writeFileSync(join(directory, 'part3.c'), '#include "parts.h"\nint part3(void) { return 1003; }\n');
    const commands = (await make()).split('\n').filter((line) => line.startsWith('gcc'));
    t.same(commands[0], 'gcc -c -o part3.o part3.c');
    t.equal(commands.length, 2);
    t.equal(await result(), `${sum + 1000}\n`);
  });
});
