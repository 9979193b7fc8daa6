/**
 * Loads the addon. The built file lies in native/build/Release, beside this source or, from dist/, two folders up.
 */
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FileCalls, NativeAddon } from './types.js';

const here = dirname(fileURLToPath(import.meta.url));

function addonPath(): string {
  const built = 'build/Release/tidemark.node';
  const candidates = [process.env['TIDEMARK_ADDON'], join(here, built), join(here, '../../native', built)];
  const found = candidates.find((path) => path !== undefined && existsSync(path));
  if (found === undefined) throw new Error(`the addon is not built: run "npm run build:native" in ${join(here, '../..')}`);
  return found;
}

const loaded = createRequire(import.meta.url)(addonPath()) as NativeAddon & { readonly files: FileCalls };

export const addon: NativeAddon = loaded;
export const files: FileCalls = loaded.files;
