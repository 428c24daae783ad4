// How modules become what users run: Rolldown joins those of each entry point into a few files. Joined, because a hundred
// small modules take Node some 30 ms to find and link; with constants put in place, because V8 loads an imported one at
// each use (bench suites `startup` and `nop`). The bench runs its own programs in the same form.

import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/**
 * Joins modules into files for Node, with source maps; packages stay imports.
 *
 * @param entryPoints - Relative to the project's folder.
 * @param outdir - Where the files go.
 * @param outbase - The folder that `outdir` stands for: what is below it keeps its place.
 */
export async function bundle(entryPoints: readonly string[], outdir: string, outbase: string): Promise<void> {
  const build = await rolldown({
    cwd: ROOT,
    input: Object.fromEntries(
      entryPoints.map((path) => [relative(outbase, path).replace(/\.ts$/, ''), join(ROOT, path)]),
    ),
    platform: 'node',
    // Packages, by name; the modules of this one are relative.
    external: /^[^./]/,
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    optimization: { inlineConst: { mode: 'all', pass: 3 } },
    onLog(_level, log) {
      throw new Error(`Rolldown: ${log.message}`)
    },
  })
  try {
    await build.write({
      dir: outdir,
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name]-[hash].js',
      minifyInternalExports: false,
      sourcemap: true,
      // The sources are in the package.
      sourcemapExcludeSources: true,
    })
  } finally {
    await build.close()
  }
}
