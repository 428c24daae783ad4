// A directory for one test file, removed when its process ends, and small things that several test files need.

import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'uring-fs-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** A path in the directory. */
export function scratch(name: string): string {
  return join(folder, name)
}

/** Makes a FIFO in the directory. */
export function makeFifo(name: string): string {
  const path = scratch(name)
  const { status, stderr } = spawnSync('mkfifo', [path], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mkfifo: ${stderr}`)
  return path
}

/** Runs a module text in a Node of its own, with the package's sources at hand as `SRC`. */
export function runModule(
  text: string,
  options: { readonly flags?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const source = text.replaceAll('SRC', new URL('../../src', import.meta.url).pathname)
  const args = [
    '--import',
    import.meta.resolve('tsx'),
    ...(options.flags ?? []),
    '--input-type=module',
    '-e',
    source,
  ]
  const child = spawn(process.execPath, args, { env: { ...process.env, ...options.env } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** The error of a promise that must reject. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  try {
    await promise
  } catch (error) {
    return error as Error & Record<string, unknown>
  }
  throw new Error('nothing was rejected')
}

/** What has become of a promise until now. */
export async function stateOf(
  promise: Promise<unknown>,
  waitMs = 50,
): Promise<'pending' | 'fulfilled' | 'rejected'> {
  return Promise.race([
    promise.then(
      () => 'fulfilled' as const,
      () => 'rejected' as const,
    ),
    new Promise<'pending'>((resolve) => {
      setTimeout(resolve, waitMs, 'pending')
    }),
  ])
}
