/**
 * Names that a volume keeps no history of are not shown in the past: what is there now would pass for what was there then. In: the globs the volume was
 * opened with. Out: a test for names.
 *
 * Globs are matched as the addon matches them: one without a slash against the last name of a path, one with a slash against the
 * path from the volume's root; `*` and `?` do not cross a slash, `[…]` is a class, `[[:alpha:]]` too, a backslash takes the next character as it is (fnmatch(3), FNM_PATHNAME).
 *
 * Invariants:
 * 1. Names are bytes: they are matched as latin1, so that a name that is not UTF-8 has a place of its own too.
 */

export interface Excludes {
  /** true when no glob needs a path, so that callers need not find it out. */
  readonly byNameAlone: boolean;
  /** `name`: the last name; `path`: from the root, without a leading slash, not looked at when `byNameAlone`. Both as latin1. */
  hides(name: string, path: string): boolean;
}

/** Nothing is excluded. */
export const noExcludes: Excludes = { byNameAlone: true, hides: () => false };

/** Compiles globs, written in UTF-8. */
export function compileExcludes(globs: readonly string[]): Excludes {
  if (globs.length === 0) return noExcludes;
  const names = globs.filter((glob) => !glob.includes('/')).map(toExpression);
  const paths = globs.filter((glob) => glob.includes('/')).map((glob) => toExpression(glob.replace(/^\//, '')));
  return {
    byNameAlone: paths.length === 0,
    hides: (name, path) => names.some((expression) => expression.test(name)) || paths.some((expression) => expression.test(path)),
  };
}

function toExpression(glob: string): RegExp {
  const bytes = Buffer.from(glob).toString('latin1');
  let source = '';
  for (let index = 0; index < bytes.length; index++) {
    const character = bytes.charAt(index);
    const close = character === '[' ? closingBracket(bytes, index) : -1;
    if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '\\' && index + 1 < bytes.length) source += literal(bytes.charAt(++index));
    else if (close > 0) {
      source += classOf(bytes.slice(index + 1, close));
      index = close;
    } else source += literal(character);
  }
  return new RegExp(`^${source}$`, 's');
}

/** Where a class ends, -1 if it does not. A "]" that comes first stands for itself, and one that ends "[:alpha:]" does not count. */
function closingBracket(glob: string, open: number): number {
  const found = /^\[[!^]?\]?(?:\[:[a-z]+:\]|[^\]])*\]/s.exec(glob.slice(open));
  return found === null ? -1 : open + found[0].length - 1;
}

const namedClasses: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z', alpha: 'A-Za-z', blank: ' \\t', cntrl: '\\x00-\\x1f\\x7f', digit: '0-9', graph: '!-~',
  lower: 'a-z', print: ' -~', punct: '!-\\/:-@\\[-`{-~', space: ' \\t-\\r', upper: 'A-Z', xdigit: '0-9A-Fa-f',
};

function classOf(inside: string): string {
  const isNegated = /^[!^]/.test(inside);
  const members = (isNegated ? inside.slice(1) : inside)
    .split(/(\[:[a-z]+:\])/)
    .map((part, index) => (index % 2 === 1 ? namedClasses[part.slice(2, -2)] ?? '' : part.replace(/[\\\]^[]/g, '\\$&')))
    .join('');
  return isNegated ? `[^/${members}]` : `(?!/)[${members}]`;
}

function literal(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
