// The bench's own programs in the form in which users run the library: joined, by scripts/bundle.ts.

import { rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { bundle } from '../../scripts/bundle.js'
import { BUILD_FOLDER } from './folders.js'

// Of this process alone: another bench may run at the same time.
const folder = join(BUILD_FOLDER, `children-${process.pid}`)
const built = new Map<string, Promise<string>>()

/** The file to run for `bench/children/<script>`, bundled at first use, gone when this process ends. */
export function childFile(script: string): Promise<string> {
  let file = built.get(script)
  if (file === undefined) {
    if (built.size === 0) process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    file = build(script)
    built.set(script, file)
  }
  return file
}

async function build(script: string): Promise<string> {
  const name = basename(script, '.ts')
  await bundle([`bench/children/${script}`], join(folder, name), 'bench/children')
  return join(folder, name, `${name}.js`)
}
