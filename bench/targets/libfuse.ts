/**
 * libfuse's example programs, built here from Debian's source package at first use: distributions do not ship them as programs, and
 * their licence (GPL) keeps the source out of this repository. A scratch directory comes in; the programs stay in a cache for the
 * next benchmark.
 *
 * Invariants:
 * 1. The version is Debian stable's, not that of the host, which may be years old: 3.14 has no passthrough in the kernel. (3.18 is
 *    out but slower here: it makes a pipe anew for each answer where a pipe of 4 MiB is not permitted.)
 * 2. The programs carry their libfuse in them; nothing of the host's libfuse is used or changed, and neither are apt's own lists.
 * 3. What is in the cache is whole: `version` is written last.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { execute } from '../command.js';

const suite = 'trixie';
const programs = ['passthrough_ll', 'passthrough_hp'] as const;
const cache = `${process.env['XDG_CACHE_HOME'] ?? `${homedir()}/.cache`}/tidemark-bench/libfuse-${suite}`;
/** What is called, and the Debian package that has it. */
const tools: readonly (readonly [string, string])[] = [['g++', 'g++'], ['meson', 'meson'], ['dpkg-source', 'dpkg-dev']];

let built: Promise<void> | undefined;

/** Builds the programs unless they are there. Throws when something is missing that cannot be installed, or there is no source. */
export function build(scratch: string): Promise<void> {
  return (built ??= existsSync(`${cache}/version`) ? Promise.resolve() : buildAnew(`${scratch}/libfuse`));
}

export function programPath(name: (typeof programs)[number]): string {
  return `${cache}/${name}`;
}

/** After `build`. */
export function version(): Promise<string> {
  return readFile(`${cache}/version`, 'utf8');
}

async function buildAnew(directory: string): Promise<void> {
  console.error('building libfuse\'s examples, once …');
  await mkdir(cache, { recursive: true });
  await installTools();
  await mkdir(directory);
  const source = await fetchSource(directory);
  const options = ['--buildtype=release', '-Ddefault_library=static', '-Dutils=false', '-Dtests=false', '-Dexamples=true', '-Duseroot=false'];
  await execute('meson', ['setup', 'build', ...options], { cwd: source });
  await execute('ninja', ['-C', 'build', ...programs.map((name) => `example/${name}`)], { cwd: source });
  for (const name of programs) await put(name, (path) => copyFile(`${source}/build/example/${name}`, path));
  await put('version', (path) => writeFile(path, source.split('fuse3-').at(-1)!));
}

/** Under a name of its own first: another benchmark may be doing the same. */
async function put(name: string, write: (path: string) => Promise<void>): Promise<void> {
  const fresh = `${cache}/${name}.${process.pid}`;
  await write(fresh);
  await rename(fresh, `${cache}/${name}`);
}

async function installTools(): Promise<void> {
  const found = await Promise.all(tools.map(([command]) => execute('which', [command]).then(() => true, () => false)));
  const missing = tools.filter((_, index) => !found[index]).map(([, name]) => name);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error(`install these packages: ${missing.join(' ')}`);
  await execute('apt-get', ['update', '-q']);
  await execute('env', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', '-q', '--no-install-recommends', ...missing]);
}

/** Unpacks the source package below the directory and returns where. apt checks its signatures; its lists are kept in the directory. */
async function fetchSource(directory: string): Promise<string> {
  await mkdir(`${directory}/lists/partial`, { recursive: true });
  await mkdir(`${directory}/cache/archives/partial`, { recursive: true });
  await writeFile(`${directory}/sources.list`, `deb-src ${await mirror()} ${suite} main\n`);
  const settings = [
    `Dir::Etc::SourceList=${directory}/sources.list`, 'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${directory}/lists`, `Dir::Cache=${directory}/cache`,
  ].flatMap((setting) => ['-o', setting]);
  await execute('apt-get', [...settings, 'update', '-q']);
  await execute('apt-get', [...settings, 'source', '-q', 'fuse3'], { cwd: directory });
  const folder = (await readdir(directory, { withFileTypes: true })).find((entry) => entry.isDirectory() && entry.name.startsWith('fuse3-'));
  if (!folder) throw new Error('the source package of fuse3 has another name than before');
  return `${directory}/${folder.name}`;
}

/** The mirror of Debian that this host's apt uses. */
async function mirror(): Promise<string> {
  const format = ['--format', '$(ORIGIN) $(LABEL) $(REPO_URI)'];
  const lines = (await execute('apt-get', ['indextargets', ...format])).split('\n');
  const found = lines.find((line) => line.startsWith('Debian Debian '))?.split(' ')[2];
  if (found === undefined) throw new Error('apt knows no Debian mirror here (apt-get update)');
  return found;
}
