// Runs a program that uses the transfers as the user nobody. Only root can.

import { execFileSync } from 'node:child_process'

const TRANSFERS = new URL('../../src/transfer/index.ts', import.meta.url).href
const NOBODY = 65534

/**
 * @param code - A module. It has copyFile, copyTree, and `args`.
 * @returns What it writes to its output.
 */
export function asNobody(code: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const module = `import { copyFile, copyTree } from '${TRANSFERS}'
    process.setgid(${NOBODY}); process.setuid(${NOBODY})
    const args = process.argv.slice(1)
    ${code}`
  return execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', module, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
}
