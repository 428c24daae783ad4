// What a number was measured on. No date and no host name: two runs on one machine print the same.

import { spawnSync } from 'node:child_process'
import { availableParallelism, cpus, release } from 'node:os'

export interface Machine {
  readonly kernel: string
  readonly arch: string
  readonly cpu: string
  readonly cores: number
  readonly node: string
  /** The C peers' library, or null where none was found. */
  readonly liburing: string | null
}

export function describeMachine(): Machine {
  return {
    kernel: release(),
    arch: process.arch,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    node: process.version,
    liburing: liburingVersion(),
  }
}

function liburingVersion(): string | null {
  const { status, stdout } = spawnSync('pkg-config', ['--modversion', 'liburing'], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : null
}
