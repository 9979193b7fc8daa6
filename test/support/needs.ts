/**
 * What a test needs beyond Tidemark: installed programs. A test without them is skipped, and says so, unless
 * TIDEMARK_REQUIRE_ALL is set (as it is where everything should be installed).
 */
import { isInstalled } from './processes.js';

/** For tap's `skip`: false when all are there, else the reason. */
export async function unlessInstalled(...programs: readonly string[]): Promise<string | false> {
  for (const program of programs) {
    if (await isInstalled(program)) continue;
    if ((process.env['TIDEMARK_REQUIRE_ALL'] ?? '') !== '') throw new Error(`${program} is not installed`);
    return `${program} is not installed`;
  }
  return false;
}
