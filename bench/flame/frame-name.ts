/**
 * What a frame of `perf script` is called in a graph, without I/O. A line comes in; a short name goes out, or nothing for frames that say nothing.
 *
 * Invariants:
 * 1. A name holds no semicolon, which parts frames in a folded stack.
 * 2. Its end tells who made the function: `_[k]` the kernel, `_[j]` JavaScript, none C and C++.
 * 3. A frame without a symbol has no name: where a library was built without frame pointers such frames are accidents.
 */

/** In every stack of their kind, and nothing of note is ever done in them. */
const tellNothing = new Set(['entry_SYSCALL_64_after_hwframe', 'do_syscall_64', 'ret_from_fork', 'ret_from_fork_asm', 'Builtins_InterpreterEntryTrampoline']);
const longestName = 70;

/** @param line `   ADDRESS SYMBOL (FILE)` */
export function frameName(line: string): string | undefined {
  const [, symbol = '', file = ''] = /^\s*[0-9a-f]+ (.*) \((.*)\)\s*$/.exec(line.replace(' (deleted))', ')')) ?? [];
  if (symbol === '' || symbol === '[unknown]' || tellNothing.has(symbol)) return undefined;
  const script = scriptName(symbol);
  if (script !== undefined) return `${clean(script)}_[j]`;
  // The kernel's own code is [kernel.kallsyms], a module's [fuse].
  const suffix = /^\[(?!vdso|vsyscall)/.test(file) ? '_[k]' : '';
  return `${clean(shortSymbol(symbol))}${suffix}`;
}

/** V8 writes JS:~list file:///where/it/lies.js:12:3, with a sign that tells the compiler that made the code. */
function scriptName(symbol: string): string | undefined {
  const found = /^(?:JS|Script|Function|LazyCompile|Eval):[~^*+]?(\S*) (\S+)$/.exec(symbol);
  if (!found) return undefined;
  const [place = ''] = /[^/]+$/.exec(found[2]!.replace(/:\d+$/, '')) ?? [];
  return `${found[1] || '(anonymous)'} ${place}`;
}

/** Without arguments, template arguments, the compiler's suffixes, and the namespaces that everything is in. */
function shortSymbol(symbol: string): string {
  const bare = symbol
    .replaceAll('(anonymous namespace)::', '')
    .replace(/@plt$/, '')
    .replace(/\.(?:constprop|isra|part|cold)\b.*$/, '');
  const short = bare.includes('operator') ? bare : withoutArguments(bare);
  return short.replace(/\btidemark::/g, '').replace(/\bv8::internal::/g, 'v8::') || symbol;
}

/** Brackets nest, so the innermost go first. */
function withoutArguments(symbol: string): string {
  let before = '';
  let after = symbol;
  while (before !== after) {
    before = after;
    after = before.replace(/<[^<>]*>|\([^()]*\)/g, '');
  }
  return after.replace(/ const$/, '').replace(/ \[clone.*$/, '');
}

function clean(name: string): string {
  const text = name.replaceAll(';', ':');
  return text.length > longestName ? `${text.slice(0, longestName - 1)}…` : text;
}
