// Applies a delta in librsync's format, as rdiff makes it.

import type { PartialConfig, RingReport } from '../config/index.js'
import { defaultUring, type PathLike, Uring } from '../runtime/index.js'
import { isRestricted } from '../runtime/permission-model.js'
import { checkMembers, invalidValue } from '../syscalls/argument-errors.js'
import type { DeltaCounts } from './apply-delta.js'
import {
  type Basis,
  type BasisReport,
  type BasisStrategy,
  checkStrategy,
  checkWriter,
  openBasis,
  type TransferWriter,
} from './basis.js'
import { ringPath, standardPath } from './data-path.js'
import { pathOf } from './output-file.js'
import { planTransfer, type TransferPlan } from './plan.js'
import { DeltaCommands } from './rdiff/delta-commands.js'
import { SequentialReader } from './sequential-reader.js'
import {
  APPLY_WISHES,
  type ApplyWishes,
  checkWishes,
  type WrittenOutput,
  writeOutput,
} from './write-output.js'

/** What `patchFile` takes. */
export interface PatchOptions extends ApplyWishes {
  /** Which reader the basis gets. Default 'auto'. */
  readonly basis?: BasisStrategy | undefined
  /** What writes. Default: 'standard' for the basis 'mmap' and where there is no ring, else 'ring'. */
  readonly writer?: TransferWriter | undefined
  /** Settings of a ring of its own, such as `{ sqpoll: true }`. Default: the thread's shared ring serves. */
  readonly config?: PartialConfig | undefined
}

/** What `patchFile` resolves to. */
export interface PatchResult extends WrittenOutput, DeltaCounts {
  readonly basis: BasisReport
  /** What was decided and why. */
  readonly plan: TransferPlan
  /** How the ring was set up; null where node:fs did the work. */
  readonly ring: RingReport | null
}

/**
 * Builds the output in a temporary file beside `output`, and renames that into place when it is complete.
 * Memory is bounded, whatever the sizes. `delta` may be a pipe.
 *
 * Stricter than rdiff in one respect: what follows the end command of a delta is an error. A delta has no
 * checksum of its own; give `hash` and `expectedDigest` where it comes from far away.
 *
 * Rejects, with the old output as it was, with TransferError `ERR_DELTA_FORMAT` for a broken delta (the
 * message says where), `ERR_BASIS_RANGE` for a copy of what the basis does not have, `ERR_BASIS_CHANGED` when
 * a file changed meanwhile, and as `applyDelta`.
 *
 * @throws (rejects) TypeError, RangeError for bad options.
 */
export async function patchFile(
  basis: PathLike,
  delta: PathLike,
  output: PathLike,
  options: PatchOptions = {},
): Promise<PatchResult> {
  checkMembers('options', options, [...APPLY_WISHES, 'basis', 'config'])
  checkWishes(options)
  const { basis: strategy = 'auto', config } = options
  checkStrategy('options.basis', strategy)
  if (options.uring !== undefined && config !== undefined) {
    throw invalidValue('options.config', config, 'is of no use beside options.uring, a ring that is built')
  }
  const canRing = options.uring !== undefined || (Uring.available && !isRestricted)
  const writer = options.writer ?? (strategy === 'mmap' || !canRing ? 'standard' : 'ring')
  checkWriter('options.writer', writer)

  const from = await openBasis(basis, { strategy, writer })
  try {
    const plan = planTransfer({ basis: from, writer, ...(config !== undefined && { config }) })
    const isOwn = options.uring === undefined && config !== undefined && !isRestricted
    const own = isOwn ? plan.open() : null
    const ring = options.uring ?? own ?? (config === undefined ? defaultUring() : null)
    try {
      return await patch(from, pathOf(delta), output, { ...options, writer }, plan, ring)
    } finally {
      await own?.close()
    }
  } finally {
    await from.close()
  }
}

async function patch(
  basis: Basis,
  deltaPath: string,
  output: PathLike,
  wishes: PatchOptions,
  plan: TransferPlan,
  ring: Uring | null,
): Promise<PatchResult> {
  const data = ring === null ? standardPath : ringPath(ring)
  basis.readBy(data)
  const reader = await SequentialReader.open(deltaPath, data, wishes.signal)
  try {
    const { dev, ino } = basis.file
    const commands = new DeltaCommands(reader)
    const isPinned = plan.mmapBasisActive && plan.config.pinMmapBasis === true && ring?.report.sqpoll.granted
    const job = {
      output,
      wishes,
      basis,
      data,
      sources: [
        { role: 'basis', dev, ino },
        { role: 'delta', dev: reader.dev, ino: reader.ino },
      ],
      pinnedRing: isPinned ? ring : null,
      input: reader,
    }
    const written = await writeOutput(job, (assembler) => commands.apply(basis, assembler))
    const { literalBytes, matchedBytes, literalTokens, blockTokens } = commands
    const counts = { literalBytes, matchedBytes, literalTokens, blockTokens }
    return { ...written, ...counts, basis: basis.report, plan, ring: ring?.report ?? null }
  } finally {
    await reader.close()
  }
}
