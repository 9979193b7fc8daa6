/**
 * Where the keeper is: the program that `tidemark mount` starts, and that starts the daemon (native/keeper). It is built beside the addon. Loads nothing.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** undefined: it is not built. */
export function keeperPath(): string | undefined {
  const built = 'build/Release/tidemark-keeper';
  return [join(here, built), join(here, '../../native', built)].find((path) => existsSync(path));
}
