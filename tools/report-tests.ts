/**
 * Turns the TAP of a test run (standard input) into what people read: a line for each test file as it ends, all about those that failed,
 * and as the last line how many checks passed and failed. Exit status 1 when any failed or none ran.
 */
import { createInterface } from 'node:readline';
import { TapCounter } from './tap-counter.js';

const mostLinesShown = 300;

async function main(): Promise<void> {
  const counter = new TapCounter();
  // What the file under way has said, without the checks that passed.
  let said: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    if (!/^\s*(ok\b|\d+\.\.\d+|$)/.test(line)) said.push(line);
    const ended = counter.line(line);
    if (ended === undefined) continue;
    const name = ended.name.replace(/^dist\//, '').replace(/\.test\.js$/, '');
    process.stdout.write(`${ended.hasFailed ? 'FAILED' : 'passed'}  ${name}  (${ended.checks} checks, ${ended.time})\n`);
    if (ended.hasFailed) process.stdout.write(said.slice(0, mostLinesShown).map((text) => `    ${text}\n`).join(''));
    if (ended.hasFailed && said.length > mostLinesShown) process.stdout.write(`    … ${said.length - mostLinesShown} lines more\n`);
    said = [];
  }
  if (counter.skipped > 0) process.stdout.write(`${counter.skipped} skipped\n`);
  process.stdout.write(`${counter.passed} passed, ${counter.failed} failed\n`);
  process.exitCode = counter.failed > 0 || counter.passed === 0 ? 1 : 0;
}

await main();
