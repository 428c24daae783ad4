// Builds the C peers of bench/peers into .bench/, where a compiler and liburing are installed.

import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from './contender.js'
import { BUILD_FOLDER } from './folders.js'

// What the compiler says when something is not installed. Anything else it says is a fault in the peer's source.
const MISSING: readonly (readonly [text: RegExp, reason: string])[] = [
  [/liburing\.h: No such file|'liburing\.h' file not found/, 'liburing.h is not installed'],
  [
    /cannot find -luring|library not found for -luring|unable to find library -luring/,
    'liburing is not installed',
  ],
]

const built = new Map<string, { file: string } | { skip: string }>()

/**
 * The command that runs the peer `name`, compiled at first use.
 *
 * @throws Error when the compiler rejects the source for any other reason than what is not installed.
 */
export function peer(name: string, args: readonly (string | number)[]): Command {
  let outcome = built.get(name)
  if (outcome === undefined) {
    outcome = compile(name)
    built.set(name, outcome)
  }
  return 'skip' in outcome ? outcome : { file: outcome.file, args: args.map(String) }
}

function compile(name: string): { file: string } | { skip: string } {
  mkdirSync(BUILD_FOLDER, { recursive: true })
  const source = fileURLToPath(new URL(`../peers/${name}.c`, import.meta.url))
  const file = join(BUILD_FOLDER, `peer-${name}`)
  // Renamed into place: a bench that runs at the same time keeps the file that it has open.
  const unfinished = `${file}.${process.pid}`
  const { error, status, stderr } = spawnSync('cc', ['-O2', '-o', unfinished, source, '-luring'], {
    encoding: 'utf8',
    // The reasons above are in English.
    env: { ...process.env, LC_ALL: 'C' },
  })
  if (error !== undefined) return { skip: `no C compiler: cc: ${error.message}` }
  if (status === 0) {
    renameSync(unfinished, file)
    return { file }
  }
  for (const [text, reason] of MISSING) if (text.test(stderr)) return { skip: reason }
  throw new Error(`cc could not compile ${source}:\n${stderr}`)
}
