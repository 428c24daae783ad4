// Everything that `config/` asks of the machine, as one replaceable object: tests replace it to simulate a
// kernel, a container or a limit that this machine does not have.

import { accessSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { close, libcFailure } from '../syscalls/libc.js'
import type { Fd } from '../syscalls/numbers.js'
import { kernelCalls, type UringCalls } from '../syscalls/uring-calls.js'

/** The machine as `config/` sees it. */
export interface Machine {
  /** `process.platform`. */
  readonly platform: string
  /** The kernel release, as `uname -r` prints it; empty when it cannot be read. */
  readonly release: string
  /** Read anew each time, never cached. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly calls: UringCalls
  /** Why no C library could be loaded; null when one was. */
  readonly libcFailure: Error | null
  /** The text of a file, or null when it cannot be read for whatever reason. */
  readFile(path: string): string | null
  /** The bytes of a file, or null. */
  readBytes(path: string): Uint8Array | null
  exists(path: string): boolean
  /** Closes a descriptor that `calls.setup` returned. */
  close(fd: Fd): void
  /** Blocks this thread, in milliseconds. */
  sleepMs(milliseconds: number): void
}

// Nobody else has this memory, so the wait below always ends by its timeout.
const neverNotified = new Int32Array(new SharedArrayBuffer(4))

/** The machine this process runs on. */
export const thisMachine: Machine = {
  platform: process.platform,
  get release() {
    return release()
  },
  get env() {
    return process.env
  },
  calls: kernelCalls,
  libcFailure,
  readFile(path) {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return null
    }
  },
  readBytes(path) {
    try {
      return readFileSync(path)
    } catch {
      return null
    }
  },
  exists(path) {
    try {
      accessSync(path)
      return true
    } catch {
      return false
    }
  },
  close(fd) {
    close(fd)
  },
  sleepMs(milliseconds) {
    // Order: none is needed; the word is private and stays 0. This is the only way for JavaScript to sleep
    // without running the event loop, which a synchronous build must not do.
    Atomics.wait(neverNotified, 0, 0, milliseconds)
  },
}
