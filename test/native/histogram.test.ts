/** The buckets of the latency histogram are where its header says, and count everything. */
import { join } from 'node:path';
import t from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { repositoryRoot } from '../support/places.js';
import { runWell } from '../support/processes.js';

const skip = await unlessInstalled('g++');

void t.test('the latency histogram keeps its layout and loses nothing', { skip }, async (t) => {
  const program = join(t.testdir({}), 'histogram');
  await runWell('g++', ['-std=c++17', '-O1', '-Wall', '-Wextra', '-o', program, join(repositoryRoot, 'test/native/histogram.cc'), '-lpthread']);
  t.match(await runWell(program, []), 'the histogram holds');
});
