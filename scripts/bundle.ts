// How modules become what users run: esbuild joins those of each entry point into a few files. Joined, because a hundred
// small modules take Node some 30 ms to find and link; with constants put in place, because V8 loads an imported one at
// each use (bench suites `startup` and `nop`). The bench runs its own programs in the same form.

import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/**
 * Bundles for Node 20.11, with source maps; packages stay imports.
 *
 * @param entryPoints - Relative to the project's folder.
 * @param outbase - The folder that `outdir` stands for: what is below it keeps its place.
 */
export async function bundle(entryPoints: readonly string[], outdir: string, outbase: string): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: [...entryPoints],
    outdir,
    outbase,
    bundle: true,
    splitting: true,
    // Puts constants in place, also those of other modules.
    minifySyntax: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.11',
    sourcemap: true,
    sourcesContent: false,
    chunkNames: 'chunks/[name]-[hash]',
    keepNames: false,
    logLevel: 'warning',
  })
}
