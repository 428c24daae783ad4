// `uring signature`, `uring delta` and `uring patch`: rdiff's three steps, in rdiff's formats.

import {
  deltaFile,
  openBasis,
  patchFile,
  planTransfer,
  signatureFile,
  type TransferProgress,
} from '../transfer/index.js'
import { count, paceText, sizeText } from './amounts.js'
import type { Command, Given, Surroundings } from './command.js'
import { UsageError } from './errors.js'
import { ProgressDisplay } from './progress-display.js'
import { OUTPUT_OPTIONS, openRing, RING_OPTIONS, ringJson, sqpollText } from './shared-options.js'

const DURABLE = {
  durable: { help: 'have the output on the disk before it takes its place (fsync)' },
} as const

export const signatureCommand: Command = {
  name: 'signature',
  operands: 'BASIS SIGNATURE',
  least: 2,
  most: 2,
  summary:
    'Writes the signature of a file, from which deltas against it are made without it (as rdiff signature)',
  options: {
    'block-size': { value: 'BYTES', help: 'bytes of a block; by default about the root of the file size' },
    'sum-size': { value: 'BYTES', help: 'bytes kept of each strong sum; by default all' },
    hash: { value: 'NAME', help: 'strong sum: blake2 (the default) or md4' },
    rollsum: {
      value: 'NAME',
      help: 'rolling sum: rabinkarp (the default) or rollsum, for librsync before 2.2',
    },
    ...DURABLE,
    ...RING_OPTIONS,
    ...OUTPUT_OPTIONS,
  },
  async run(given, surroundings) {
    const [basis, signature] = given.operands as [string, string]
    const wishes = {
      blockBytes: given.integer('block-size', 1, 2 ** 26),
      strongBytes: given.integer('sum-size', 1, 32),
      strong: given.choice('hash', ['blake2', 'md4']),
      rolling: given.choice('rollsum', ['rabinkarp', 'rollsum']),
    }
    await transfer('signature', given, surroundings, async (options) => {
      const result = await signatureFile(basis, signature, { ...wishes, ...options })
      return { result, text: `${count(result.blocks, 'block')} of ${sizeText(result.blockBytes)}` }
    })
  },
}

export const deltaCommand: Command = {
  name: 'delta',
  operands: 'SIGNATURE NEW DELTA',
  least: 3,
  most: 3,
  summary: 'Writes what turns the file that SIGNATURE was made of into NEW (as rdiff delta)',
  options: { ...DURABLE, ...RING_OPTIONS, ...OUTPUT_OPTIONS },
  async run(given, surroundings) {
    const [signature, newFile, delta] = given.operands as [string, string, string]
    await transfer('delta', given, surroundings, async (options) => {
      const result = await deltaFile(signature, newFile, delta, options)
      return {
        result,
        text: `${sizeText(result.literalBytes)} new, ${sizeText(result.matchedBytes)} of the basis`,
      }
    })
  },
}

export const patchCommand: Command = {
  name: 'patch',
  operands: 'BASIS DELTA OUTPUT',
  least: 3,
  most: 3,
  summary:
    'Builds OUTPUT from a basis and a delta (as rdiff patch). An old output stays as it is until the new one is complete',
  options: {
    basis: { value: 'READER', help: 'how the basis is read: auto (the default), mmap or buffered' },
    writer: { value: 'WRITER', help: 'what writes: ring or standard; a ring takes its data from the heap' },
    verify: { value: 'SHA256', help: 'take the output only if this is its SHA-256' },
    sparse: { help: 'leave holes where there are zeros' },
    'max-output': { value: 'BYTES', help: 'give up when the output gets longer than this' },
    ...DURABLE,
    ...RING_OPTIONS,
    'dry-run': { help: 'only say how it would be done' },
    ...OUTPUT_OPTIONS,
  },
  async run(given, surroundings) {
    const [basis, delta, output] = given.operands as [string, string, string]
    const strategy = given.choice('basis', ['auto', 'mmap', 'buffered'])
    const writer = given.choice('writer', ['ring', 'standard']) ?? (strategy === 'mmap' ? 'standard' : 'ring')
    const digest = given.text('verify')
    if (digest !== undefined && !/^[0-9a-fA-F]{64}$/.test(digest)) {
      throw new UsageError(`--verify takes a SHA-256 of 64 hexadecimal digits, not '${digest}'`)
    }
    const wishes = {
      basis: strategy,
      writer,
      sparse: given.has('sparse'),
      maxOutputBytes: given.integer('max-output', 0, Number.MAX_SAFE_INTEGER),
      ...(digest !== undefined && { hash: 'sha256', expectedDigest: digest.toLowerCase() }),
      ...(given.has('sqpoll') && { config: { sqpoll: true } }),
    }
    if (given.has('dry-run')) {
      await explain(basis, { strategy, writer, sqpoll: given.has('sqpoll') }, given, surroundings)
      return
    }
    await transfer('patch', given, surroundings, async ({ uring: _, ...options }) => {
      const { plan, ring, ...result } = await patchFile(basis, delta, output, { ...wishes, ...options })
      const text = `${sizeText(result.literalBytes)} new, ${sizeText(result.matchedBytes)} of the basis`
      const reasons = plan.reasons.map((reason) => `  ${reason}`)
      const sqpoll = given.has('sqpoll') && ring !== null ? [`  ${sqpollText(ring)}`] : []
      return {
        result: { ...result, reasons: plan.reasons, refusals: plan.refusals, ring: ringJson(ring) },
        text,
        lines: [...reasons, ...sqpoll],
      }
    })
  },
}

interface Wishes {
  readonly signal: AbortSignal
  readonly durable: boolean
  readonly onProgress: (progress: TransferProgress) => void
  readonly depth?: number
  readonly uring?: NonNullable<ReturnType<typeof openRing>>
}

interface Transferred {
  readonly result: { readonly bytesWritten: number }
  readonly text: string
  /** More to say. */
  readonly lines?: readonly string[]
}

/** Runs one transfer with what all three have: progress, interruption, a ring of their own, the last line. */
async function transfer(
  name: string,
  given: Given,
  { write, warn, signal }: Surroundings,
  work: (wishes: Wishes) => Promise<Transferred>,
): Promise<void> {
  const isQuiet = given.has('quiet') || given.has('json')
  const depth = given.integer('depth', 1, 64)
  // `patch` plans its ring itself.
  const uring = given.has('sqpoll') && name !== 'patch' ? openRing({ sqpoll: true }, warn) : null
  const display = new ProgressDisplay(name, !isQuiet)
  const onProgress = ({ bytesRead, bytesToRead, bytesWritten }: TransferProgress): void => {
    display.show({ bytes: bytesRead, totalBytes: bytesToRead, note: `${sizeText(bytesWritten)} written` })
  }
  const started = performance.now()
  let done: Transferred
  try {
    done = await work({
      signal,
      durable: given.has('durable'),
      onProgress,
      ...(depth !== undefined && { depth }),
      ...(uring !== null && { uring }),
    })
  } finally {
    display.end()
    await uring?.close()
  }
  const milliseconds = performance.now() - started
  if (given.has('json')) {
    const ring = uring === null ? {} : { ring: ringJson(uring.report) }
    write(JSON.stringify({ ...done.result, milliseconds, ...ring }, null, 2))
    return
  }
  if (isQuiet) return
  const output = given.operands.at(-1)
  const { bytesWritten } = done.result
  write(
    `'${output}': ${sizeText(bytesWritten)} written ${paceText(bytesWritten, milliseconds)}; ${done.text}`,
  )
  for (const line of done.lines ?? []) write(line)
  if (uring !== null) write(`  ${sqpollText(uring.report)}`)
}

/** Prints how a patch would be done. Opens the basis for that, and closes it again. */
async function explain(
  path: string,
  wishes: {
    readonly strategy: 'auto' | 'mmap' | 'buffered' | undefined
    readonly writer: 'ring' | 'standard'
    readonly sqpoll: boolean
  },
  given: Given,
  { write }: Surroundings,
): Promise<void> {
  const { strategy = 'auto', writer, sqpoll } = wishes
  const basis = await openBasis(path, { strategy, writer })
  try {
    const plan = planTransfer({ basis, writer, config: { sqpoll } })
    const { reasons, refusals } = plan
    if (given.has('json'))
      write(JSON.stringify({ basis: basis.report, reasons, refusals, dryRun: true }, null, 2))
    else if (!given.has('quiet')) for (const reason of reasons) write(reason)
  } finally {
    await basis.close()
  }
}
