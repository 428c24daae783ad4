// Programs this script runs: their output when they succeed, their complaint when they fail.

import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Runs a program to its end and returns what it printed; throws with what it complained about. */
export function run(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): string {
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    ...options,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
  })
  if (error !== undefined) throw error
  if (status === 0) return stdout
  const complaint = stderr.trim().split('\n').slice(-5).join('\n')
  throw new Error(`${program} ${args.join(' ')}: ${signal ?? `exit code ${status}`}\n${complaint}`)
}

/** Whether a program is in PATH, or in the folders of the administrator, which PATH may lack. */
export function isInstalled(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Installs the Debian packages of the programs that are missing. Needs root when there is one. */
export function installPrograms(packageOf: Readonly<Record<string, string>>): void {
  const missing = Object.keys(packageOf).filter((program) => !isInstalled(program))
  if (missing.length === 0) return
  const packages = [...new Set(missing.map((program) => packageOf[program]!))]
  if (process.geteuid?.() !== 0) {
    throw new Error(`please install, or run as root: apt-get install ${packages.join(' ')}`)
  }
  console.log(`installing ${packages.join(' ')}`)
  run('apt-get', ['update'])
  run('apt-get', ['install', '-y', '--no-install-recommends', ...packages])
}
