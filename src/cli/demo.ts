// `uring demo`: what this machine offers, then a real file through a ring, then the same plan with SQPOLL asked for
// beside a mapped basis, which is refused and still succeeds.

import { createHash } from 'node:crypto'
import { closeSync, constants, createReadStream, mkdtempSync, openSync, rmSync, statSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  availability,
  buildRing,
  forLargeFiles,
  type IoUringConfig,
  type RingReport,
} from '../config/index.js'
import { MappedRegion } from '../ring/index.js'
import { printDoctor } from './doctor.js'
import { copyThroughRing } from './ring-copy.js'

/** What `uring demo` takes. */
export interface DemoOptions {
  /** The file to copy. Default: the running Node executable. */
  readonly source?: string | undefined
  readonly write: (line: string) => void
  /** Ends it between two steps. */
  readonly signal: AbortSignal
}

async function sha256(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash, { signal })
  return hash.digest('hex')
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}

function reportLine({ sqpoll }: RingReport): string {
  const asked = sqpoll.requested ? 'asked for' : 'not asked for'
  const given = sqpoll.granted ? 'granted' : 'not granted'
  return `SQPOLL ${asked}, ${given}: ${sqpoll.reason}`
}

/** Copies once by `config` and checks the result. @throws Error when the copy differs. */
async function run(
  title: string,
  config: IoUringConfig,
  source: string,
  folder: string,
  expected: string,
  options: DemoOptions,
): Promise<void> {
  const { write, signal } = options
  signal.throwIfAborted()
  const target = join(folder, `${basename(source)}.copy`)
  write('')
  write(title)
  const { ring, report } = buildRing(config)
  try {
    write(
      `  ring      ${report.sqEntries} SQ and ${report.cqEntries} CQ entries, ${report.flagNames.join(' ') || 'no flags'}`,
    )
    write(`  report    ${reportLine(report)}`)
    const result = copyThroughRing(ring, config, source, target)
    const rate = result.bytes / 2 ** 30 / (result.milliseconds / 1000)
    write(
      `  moved     ${mebibytes(result.bytes)} in ${result.milliseconds.toFixed(0)} ms, fsync included: ${rate.toFixed(2)} GiB/s`,
    )
    write(
      `  how       ${result.reads} reads and ${result.writes} writes on registered buffers and files, ` +
        `${result.peakInFlight} in flight, ${result.enters} system calls`,
    )
    const actual = await sha256(target, signal)
    if (actual !== expected)
      throw new Error(`The copy differs from its source: sha256 ${actual}, expected ${expected}`)
    write(`  verified  sha256 ${actual.slice(0, 16)}… equals the source's`)
  } finally {
    ring.close()
    rmSync(target, { force: true })
  }
}

/** Runs the demonstration. @throws whatever went wrong; nothing is left on disk. */
export async function demo(options: DemoOptions): Promise<void> {
  const { write, signal } = options
  const source = options.source ?? process.execPath
  printDoctor(write)
  const folder = mkdtempSync(join(tmpdir(), 'uring-demo-'))
  try {
    const expected = await sha256(source, signal)
    if (!availability().available) {
      write('')
      write(`No ring here (${availability().reason}): copying by node:fs instead`)
      const target = join(folder, 'copy')
      await copyFile(source, target, constants.COPYFILE_EXCL)
      if ((await sha256(target, signal)) !== expected) throw new Error('The copy differs from its source')
      write('  verified  by sha256')
      return
    }
    const config = forLargeFiles()
    await run(`Copy of ${source}`, config, source, folder, expected, options)

    // The same plan with a live mapping of its basis: a fault on it would stall the SQPOLL thread for every ring that
    // shares it, so the policy refuses SQPOLL and the transfer goes on.
    const fd = openSync(source, 'r')
    const size = statSync(source).size
    const basis = size > 0 ? MappedRegion.ofFile(fd, size, 0, { prot: 1, flags: 2 }) : null
    closeSync(fd)
    try {
      const beside = { ...config, sqpoll: true, mmapBasisActive: basis !== null }
      const title = `The same copy, SQPOLL asked for beside a mapped basis of ${mebibytes(size)}`
      await run(title, beside, source, folder, expected, options)
    } finally {
      basis?.unmap()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
