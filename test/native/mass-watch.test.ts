/** The mass watch counts what its header says, and samples tell noise from text. */
import { join } from 'node:path';
import t from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { repositoryRoot } from '../support/places.js';
import { runWell } from '../support/processes.js';
import { chooseSeed } from '../support/seed.js';

const skip = await unlessInstalled('g++');

void t.test('the mass watch counts as its header says', { skip }, async (t) => {
  const program = join(t.testdir({}), 'mass-watch');
  const sources = ['test/native/mass-watch.cc', 'native/src/mass_watch.cc', 'native/src/sample.cc'].map((path) => join(repositoryRoot, path));
  await runWell('g++', ['-std=c++17', '-O1', '-Wall', '-Wextra', '-D_GNU_SOURCE', '-o', program, ...sources, '-lpthread']);
  t.match(await runWell(program, [String(chooseSeed())]), 'the mass watch holds');
});
