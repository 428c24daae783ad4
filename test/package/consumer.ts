// The package as npm makes and installs it, for tests: packed once per process, installed in an empty folder.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const folder = mkdtempSync(join(tmpdir(), 'uring-package-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export function run(command: string, args: readonly string[], cwd: string): Outcome {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 100_000 })
  return { status, stdout, stderr }
}

function must(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = run(command, args, cwd)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`)
}

/** Packs the project, building it first. @returns The path of the tarball. */
export function pack(): string {
  must('npm', ['pack', '--silent', '--pack-destination', folder], root)
  return join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz'))!)
}

/** Installs the tarball as a program's only dependency, running no scripts. @returns The program's folder. */
export function install(tarball: string): string {
  const consumer = mkdtempSync(join(folder, 'consumer-'))
  writeFileSync(join(consumer, 'package.json'), '{ "private": true }\n')
  const quietly = ['--silent', '--no-audit', '--no-fund', '--prefer-offline']
  must('npm', ['install', '--ignore-scripts', ...quietly, tarball], consumer)
  return consumer
}
