/**
 * Compiles the small C programs that make the system calls Node has none for. Source names relative to the repository
 * come in, the path of a program comes out. Each test compiles its own copy: a second or two.
 */
import { join } from 'node:path';
import { repositoryRoot } from './places.js';
import { runWell } from './processes.js';

/** Compiles C sources to `program` (a path outside any mount). Throws with the compiler's words. */
export async function compile(sources: readonly string[], program: string): Promise<void> {
  const paths = sources.map((source) => join(repositoryRoot, source));
  await runWell('gcc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-o', program, ...paths]);
}

/** The same, to a library for LD_PRELOAD. */
export async function compileLibrary(sources: readonly string[], library: string): Promise<void> {
  const paths = sources.map((source) => join(repositoryRoot, source));
  await runWell('gcc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-shared', '-fPIC', '-o', library, ...paths]);
}
