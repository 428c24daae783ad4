// `uring bench`: a measurement of a few seconds, with the installed package alone. It shows what a ring is
// worth on this machine, next to Node's own functions in the same run. The project's own bench measures more,
// and more carefully.

import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AbortError, Uring } from '../runtime/index.js'
import { copyFile, copyTree } from '../transfer/index.js'
import type { Command, Surroundings } from './command.js'

const BLOCK_BYTES = 4096
const FILE_BYTES = 2 ** 26
const SMALL_FILES = 1000
const DEPTH = 64
const ROUNDS = 5
const ROUND_MS = 150

/** One line of the result. */
interface Row {
  readonly what: string
  readonly unit: string
  /** Per second; the median of the rounds. Null without io_uring. */
  readonly uring: number | null
  readonly node: number
  /** Median of the ratios within each round. */
  readonly ratio: number | null
}

export const benchCommand: Command = {
  name: 'bench',
  operands: '',
  least: 0,
  most: 0,
  summary: 'Measures for some seconds what a ring is worth on this machine, next to the functions of Node',
  options: {
    folder: {
      value: 'PATH',
      help: 'where the files to measure with are made; by default that for temporary files',
    },
    json: { help: 'print one JSON object' },
  },
  async run(given, surroundings) {
    const folder = fs.mkdtempSync(join(given.text('folder') ?? tmpdir(), 'uring-bench-'))
    const remove = (): void => fs.rmSync(folder, { recursive: true, force: true })
    process.once('exit', remove)
    try {
      const rows = await measure(folder, surroundings.signal)
      if (given.has('json')) surroundings.write(JSON.stringify({ node: process.version, rows }, null, 2))
      else print(rows, surroundings)
    } finally {
      process.off('exit', remove)
      remove()
    }
  },
}

function print(rows: readonly Row[], { write }: Surroundings): void {
  const { available, reason } = Uring.availability()
  if (!available) write(reason)
  write(`${''.padEnd(40)}${'uring'.padStart(12)}${'node:fs'.padStart(12)}${'ratio'.padStart(8)}`)
  for (const { what, unit, uring, node, ratio } of rows) {
    const cells = [uring === null ? '-' : amount(uring), amount(node)].map((text) => text.padStart(12))
    write(`${`${what}, ${unit}`.padEnd(40)}${cells.join('')}${(ratio?.toFixed(2) ?? '-').padStart(8)}`)
  }
}

function amount(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2)
}

async function measure(folder: string, signal: AbortSignal): Promise<Row[]> {
  const file = join(folder, 'blocks')
  fs.writeFileSync(file, randomBytes(FILE_BYTES))
  const tree = join(folder, 'tree')
  fs.mkdirSync(tree)
  const small = randomBytes(BLOCK_BYTES)
  for (let index = 0; index < SMALL_FILES; index++) fs.writeFileSync(join(tree, `file-${index}`), small)
  const hasRing = Uring.available
  const rows: Row[] = []

  const fd = fs.openSync(file, 'r')
  const uring = hasRing ? Uring.open() : null
  try {
    const row = await compare(signal, uring === null ? null : readByRing(uring, fd), readByNode(fd))
    rows.push({ what: 'reads of 4 KiB, 64 at a time', unit: 'thousand/s', ...scaled(row, 1e-3) })
  } finally {
    await uring?.close()
    fs.closeSync(fd)
  }

  let copies = 0
  // A new name each time, and nothing removed in between: file systems are slow to use again what was just given up.
  const next = (): string => join(folder, `copy-${copies++}`)
  const trees = await compare(
    signal,
    hasRing ? async () => (await copyTree(tree, next())).files : null,
    async () => {
      await fs.promises.cp(tree, next(), { recursive: true })
      return SMALL_FILES
    },
    1,
  )
  rows.push({ what: `copy of a tree of ${SMALL_FILES} files`, unit: 'files/s', ...trees })
  const files = await compare(
    signal,
    hasRing ? async () => (await copyFile(file, next())).bytes : null,
    async () => {
      await fs.promises.copyFile(file, next())
      return FILE_BYTES
    },
    1,
  )
  rows.push({ what: 'copy of a file of 64 MiB', unit: 'GiB/s', ...scaled(files, 2 ** -30) })
  return rows
}

type Figures = Pick<Row, 'uring' | 'node' | 'ratio'>
/** Does some work; resolves to how much. */
type Work = () => Promise<number>

/**
 * Measures both in turns. In each round the work runs `repeats` times; without that, at least once and as
 * often as fits into ROUND_MS.
 */
async function compare(
  signal: AbortSignal,
  uring: Work | null,
  node: Work,
  repeats?: number,
): Promise<Figures> {
  const speed = async (work: Work): Promise<number> => {
    const started = performance.now()
    let done = 0
    for (
      let turn = 0;
      repeats === undefined ? performance.now() - started < ROUND_MS : turn < repeats;
      turn++
    ) {
      if (signal.aborted) throw new AbortError(signal.reason)
      done += await work()
    }
    return (done / (performance.now() - started)) * 1000
  }
  const rounds: [uring: number, node: number][] = []
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    const pair: [number, number] = [uring === null ? 0 : await speed(uring), await speed(node)]
    if (round > 0) rounds.push(pair)
  }
  return {
    uring: uring === null ? null : median(rounds.map(([first]) => first)),
    node: median(rounds.map(([, second]) => second)),
    ratio: uring === null ? null : median(rounds.map(([first, second]) => first / second)),
  }
}

function scaled({ uring, node, ratio }: Figures, factor: number): Figures {
  return { uring: uring === null ? null : uring * factor, node: node * factor, ratio }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}

function offsets(): () => number {
  const blocks = FILE_BYTES / BLOCK_BYTES
  let at = 0
  // A stride without a common divisor with the number of blocks visits every one, in no order that helps read-ahead.
  return () => {
    at = (at + 7919) % blocks
    return at * BLOCK_BYTES
  }
}

function readByRing(uring: Uring, fd: number): Work {
  const buffers = Array.from({ length: DEPTH }, () => Buffer.alloc(BLOCK_BYTES))
  const next = offsets()
  return async () => {
    await Promise.all(buffers.map((buffer) => uring.read(fd, buffer, { offset: next() })))
    return DEPTH
  }
}

function readByNode(fd: number): Work {
  const buffers = Array.from({ length: DEPTH }, () => Buffer.alloc(BLOCK_BYTES))
  const next = offsets()
  return async () => {
    await Promise.all(
      buffers.map(
        (buffer) =>
          new Promise<void>((resolve, reject) => {
            fs.read(fd, buffer, 0, BLOCK_BYTES, next(), (error) => (error ? reject(error) : resolve()))
          }),
      ),
    )
    return DEPTH
  }
}
