// What a transfer runs on: whether a mapped basis is live, what that means for SQPOLL, and the ring.

import { givenMembers } from '../config/config.js'
import {
  type Availability,
  decideSqpoll,
  forLargeFiles,
  type IoUringConfig,
  type PartialConfig,
  policyState,
  probe,
  type SqpollRefusal,
  validateConfig,
} from '../config/index.js'
import { announceFallback } from '../runtime/diagnostics.js'
import { type MappedBufferPolicy, Uring } from '../runtime/index.js'
import { checkMembers } from '../syscalls/argument-errors.js'
import { type Basis, type BasisReport, checkWriter, type TransferWriter } from './basis.js'

/** What `planTransfer` takes. */
export interface PlanOptions {
  /** What is read from: none, one, or several. */
  readonly basis?: Basis | readonly Basis[] | null | undefined
  /** What writes. Default: what the basis was opened for, else 'ring'. */
  readonly writer?: TransferWriter | undefined
  /** Settings of the ring, in addition to `forLargeFiles()`. A `mmapBasisActive` of true is kept. */
  readonly config?: PartialConfig | undefined
}

/** A decision, and the ring that follows from it. */
export interface TransferPlan {
  readonly writer: TransferWriter
  readonly bases: readonly BasisReport[]
  /** A mapped basis is live on this plan. */
  readonly mmapBasisActive: boolean
  /** For `buildRing` or `Uring.open`. */
  readonly config: Readonly<IoUringConfig>
  /** How the plan's ring treats operations on mapped memory. */
  readonly mappedBuffers: MappedBufferPolicy
  /**
   * Settings that are refused already, before a ring is opened. What the kernel refuses is in the ring's
   * report.
   */
  readonly refusals: readonly SqpollRefusal[]
  /** The decisions, one line each. */
  readonly reasons: readonly string[]
  /** Whether a ring can be built at all. */
  readonly availability: Availability
  /**
   * Opens the ring, which is the caller's to close; null where there is none to be had (`availability` tells why).
   *
   * @throws SystemError when it cannot be built all the same.
   */
  open(): Uring | null
}

const READER_REASONS: Readonly<Record<BasisReport['reason'], string>> = {
  'asked-for': 'as asked for',
  'ring-writer': 'a ring writes, and takes its data from the heap',
  'large-file': 'it is large',
  'small-file': 'it is small',
  'empty-file': 'it is empty',
  'mapping-refused': 'it could not be mapped',
}

/**
 * Plans a transfer: looks at which bases are mapped and open now, and decides what the ring may be. Beside a mapped
 * basis SQPOLL is refused, unless `config.pinMmapBasis` pins its pages; the transfer then runs on a regular ring.
 *
 * @throws TypeError, RangeError for a bad config.
 */
export function planTransfer(options: PlanOptions = {}): TransferPlan {
  checkMembers('options', options, ['basis', 'writer', 'config'])
  const { basis, config = {} } = options
  const given = givenMembers(config)
  const bases: readonly Basis[] = basis === undefined || basis === null ? [] : [basis].flat()
  const writer = options.writer ?? bases[0]?.report.writer ?? 'ring'
  checkWriter('options.writer', writer)
  const hasMapping = bases.some(({ kind, closed }) => kind === 'mapped' && !closed)
  const mmapBasisActive = hasMapping || (given.mmapBasisActive ?? false)
  const whole: IoUringConfig = { ...forLargeFiles(), ...given, mmapBasisActive }
  const complete = validateConfig(whole)

  const decision = decideSqpoll(complete, probe(), policyState())
  const refusals = decision.attempt || decision.refusal === null ? [] : [decision.refusal]
  // Pinned pages are resident. Operations on others go to a kernel worker thread, so that page faults hold up
  // neither this thread nor SQPOLL's.
  const keepsSqpoll = decision.attempt && mmapBasisActive
  const mappedBuffers: MappedBufferPolicy = keepsSqpoll ? 'allow' : mmapBasisActive ? 'async' : 'copy'
  const reports = bases.map(({ report }) => report)
  const availability = Uring.availability()
  return {
    writer,
    bases: reports,
    mmapBasisActive,
    config: whole,
    mappedBuffers,
    refusals,
    reasons: [
      ...reports.map(({ kind, reason }) => `basis: ${kind}, because ${READER_REASONS[reason]}`),
      ...refusals.map(({ reason, message }) => `ring: ${message} (${reason})`),
      ...(keepsSqpoll ? ['ring: SQPOLL stays, because the pages of the mapped basis are pinned'] : []),
      ...(availability.available ? [] : [`ring: none, ${availability.reason}`]),
    ],
    availability,
    open: () => openIfPossible({ ...whole, mappedBuffers }),
  }
}

/** A ring, or null where there is none to be had (no io_uring, no memory): a transfer goes on without. */
function openIfPossible(options: Parameters<typeof Uring.open>[0]): Uring | null {
  if (!Uring.available) return null
  try {
    return Uring.open(options)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === undefined) throw error
    announceFallback('transfer', (error as Error).message)
    return null
  }
}
