/**
 * The layers of the design, and the form of a file, checked: reads all TypeScript sources and names, with the reason, each import or
 * file that the rules do not allow.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const longestFile = 300;

/** Which folders a folder may import from, besides itself. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  native: [],
  engine: ['native'],
  fs: ['engine', 'native'],
  replica: ['engine'],
  tools: ['native', 'engine', 'fs', 'replica'],
  test: ['native', 'engine', 'fs', 'replica', 'tools', 'bench'],
  bench: ['native', 'engine', 'fs', 'replica', 'tools', 'test'],
};

const reasons: Readonly<Record<string, string>> = {
  native: 'native/ moves bytes and knows nothing of ours',
  engine: 'engine/ is history alone and knows only native/',
  fs: 'fs/ shows history through a mount and knows only engine/ and native/',
  replica: 'replica/ carries history elsewhere and knows only engine/',
  tools: 'what users run must not lean on test/ or bench/',
};

interface Import {
  readonly file: string;
  /** Path from the root, of the module imported; as written when it is a package. */
  readonly target: string;
  readonly isTypeOnly: boolean;
}

function sources(): string[] {
  const files: string[] = [];
  for (const folder of Object.keys(arrows).filter((name) => existsSync(join(root, name)))) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const path = relative(root, join(entry.parentPath, entry.name));
      if (!path.startsWith('native/build')) files.push(path);
    }
  }
  return files.sort();
}

/** Every import and re-export of a source, static or dynamic. */
function importsOf(file: string, text: string): Import[] {
  const found: Import[] = [];
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const statement = /(?:^|;|\n)\s*(import|export)(\s+type)?\b[^;'"]*?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g;
  for (const match of code.matchAll(statement)) {
    const written = match[3] ?? match[4] ?? match[5] ?? '';
    const target = written.startsWith('.') ? posix.join(posix.dirname(file), written) : written;
    found.push({ file, target, isTypeOnly: match[2] !== undefined });
  }
  return found;
}

function folderOf(path: string): string | undefined {
  const folder = path.split('/')[0] ?? '';
  return Object.hasOwn(arrows, folder) && path.includes('/') ? folder : undefined;
}

/** What is wrong with an import; undefined when nothing is. */
function complaint({ file, target, isTypeOnly }: Import): string | undefined {
  const from = folderOf(file) ?? '';
  const to = folderOf(target);
  if (to === undefined || to === from) return undefined;
  if (!(arrows[from] ?? []).includes(to)) return `${file} imports ${target}: ${reasons[from] ?? 'not in the table of the design'}`;
  if (from === 'engine' && to === 'native' && file !== 'engine/native.ts' && !(isTypeOnly && target === 'native/types.js')) {
    return `${file} imports ${target}: the engine reaches the addon through engine/native.ts alone, others import types from native/types.js`;
  }
  return undefined;
}

const files = new Map(sources().map((file) => [file, readFileSync(join(root, file), 'utf8')]));

t.test('the rules see what they are to see', async (t) => {
  t.ok(files.size > 20, 'sources are found');
  const [found] = importsOf('engine/a.ts', "import { addon } from '../native/index.js';\n");
  t.match(complaint(found as Import), /through engine\/native\.ts alone/);
  const [dynamic] = importsOf('native/a.ts', "const x = await import('../engine/b.js');\n");
  t.match(complaint(dynamic as Import), /knows nothing of ours/);
  const [typeOnly] = importsOf('engine/a.ts', "import type { Txid } from '../native/types.js';\n");
  t.equal(complaint(typeOnly as Import), undefined);
  const [several] = importsOf('fs/a.ts', "import {\n  one,\n  two,\n} from '../tools/c.js';\n");
  t.match(complaint(several as Import), /fs\/ shows history/);
});

t.test('imports go only where the design lets them', async (t) => {
  const complaints = [...files].flatMap(([file, text]) => importsOf(file, text).map(complaint)).filter((found) => found !== undefined);
  t.strictSame(complaints, []);
});

t.test(`no source is longer than ${longestFile} lines`, async (t) => {
  const long = [...files].map(([file, text]) => ({ file, lines: text.split('\n').length - 1 })).filter(({ lines }) => lines > longestFile);
  t.strictSame(long, [], 'one idea a file: split it');
});

t.test('every source opens with what it is', async (t) => {
  const silent = [...files].filter(([, text]) => !/^(#!.*\n)?\/\*\*/.test(text)).map(([file]) => file);
  t.strictSame(silent, []);
});
