// `Uring`, the public face of the promise driver: it builds a ring, starts a driver on it, and closes both.

import {
  type Availability,
  buildRing,
  type PartialConfig,
  type RingReport,
  type ZeroCopyPolicy,
} from '../config/index.js'
import {
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SUBMIT_ALL,
  IORING_SETUP_TASKRUN_FLAG,
} from '../ring/index.js'
import { checkBoolean, checkOptions, invalidValue } from '../syscalls/argument-errors.js'
import { Arena } from './arena.js'
import { log } from './diagnostics.js'
import { type Counters, Driver } from './driver.js'
import { driverAvailability, isNodesLoop } from './event-loop.js'
import { checkFileWorkers, type FileWorkerOptions, raiseFileWorkers } from './file-workers.js'
import { announceRegion, announceRing, watchWorkers } from './lifetime.js'
import {
  checkMappedBufferOptions,
  type MappedBufferOptions,
  type MappedBufferPolicy,
} from './mapped-buffers.js'
import { RingOperations } from './operations/ring.js'

/**
 * What `Uring.open` takes besides the ring's configuration. Its defaults are the driver's, not those of
 * `defaultConfig()`: 256 entries to submit and 4096 completions, or fewer where there is no memory for them.
 */
export interface UringOptions extends PartialConfig, MappedBufferOptions, FileWorkerOptions {
  /**
   * In a worker: let the kernel write straight into ArrayBuffers. Faster, and unsafe if the worker is ever terminated
   * while operations are in flight: its memory is freed, the kernel still writes. Default false.
   */
  readonly zeroCopy?: boolean | undefined
}

/** Setup flags of the driver's rings unless `setupFlags` is given; docs/decisions/default-setup-flags.md. */
const SETUP_FLAGS: number =
  IORING_SETUP_SINGLE_ISSUER |
  IORING_SETUP_COOP_TASKRUN |
  IORING_SETUP_TASKRUN_FLAG |
  IORING_SETUP_SUBMIT_ALL |
  IORING_SETUP_NO_SQARRAY

/**
 * Default entries of the two queues. The next pair is tried where RLIMIT_MEMLOCK (Linux before 5.12 and from
 * 6.14 on) has no room for the one before. A batch is submitted when the submission queue is full; operations
 * that exceed the completion queue wait in line.
 */
const SIZES: readonly (readonly [sqEntries: number, cqEntries: number])[] = [
  [256, 4096],
  [64, 512],
  [16, 64],
]
const MAX_CQ_ENTRIES = 65536

watchWorkers()

// The driver outlives its `Uring`, because the event loop holds it through the wakeup. When a `Uring` is
// collected without a close, its ring is closed once nothing is in flight.
const abandoned = new FinalizationRegistry<Driver>((driver) => {
  if (driver.closed) return
  process.emitWarning('Closing an io_uring ring on garbage collection; call uring.close()', 'RingLeak')
  driver.closeWhenIdle()
})

/** Builds the ring that `config` asks for; a smaller one where memory is short and its size was left open. */
function build(config: PartialConfig): ReturnType<typeof buildRing> {
  const { setupFlags = SETUP_FLAGS, sqEntries, cqEntries } = config
  if (sqEntries !== undefined || cqEntries !== undefined) {
    const [defaultSq, defaultCq] = SIZES[0]!
    return buildRing({
      ...config,
      setupFlags,
      sqEntries: sqEntries ?? Math.min(defaultSq, powerOfTwoBelow(cqEntries!)),
      cqEntries: cqEntries ?? completionEntriesFor(sqEntries!, defaultCq),
    })
  }
  for (let attempt = 0; ; attempt++) {
    const [sq, cq] = SIZES[attempt]!
    try {
      return buildRing({ ...config, setupFlags, sqEntries: sq, cqEntries: cq })
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOMEM' || attempt === SIZES.length - 1) throw error
      log(`no memory for a ring of ${sq} and ${cq} entries: trying a smaller one`)
    }
  }
}

// Both of these leave a value that is not a number to the validation of the config.
function completionEntriesFor(sqEntries: number, least: number): number {
  if (typeof sqEntries !== 'number') return least
  return Math.min(Math.max(least, 2 * sqEntries), MAX_CQ_ENTRIES)
}

function powerOfTwoBelow(value: number): number {
  if (typeof value !== 'number') return 1
  return value >= 1 ? 2 ** Math.floor(Math.log2(value)) : 1
}

/** The error where io_uring is missing, or the user has disabled it. */
function unavailableError({ reason, errno, code = 'ERR_URING_UNAVAILABLE' }: Availability): Error {
  return Object.assign(new Error(reason), { code, ...(errno !== undefined && { errno }) })
}

/**
 * io_uring as promises in Node's event loop.
 *
 * Operations issued in one turn go to the kernel in one system call. What is complete when it returns settles
 * at once; the rest wakes the event loop. The kernel owns memory given to an operation until its promise
 * settles.
 */
export class Uring extends RingOperations {
  /** What carries out the operations. */
  readonly backend = 'io_uring'
  /** How the ring came to be: what was granted, refused and dropped. */
  readonly report: RingReport
  /** What was asked for: whether sockets on this ring may send without a copy. */
  readonly zeroCopyPolicy: ZeroCopyPolicy

  private constructor(driver: Driver, report: RingReport, zeroCopy: boolean, policy: ZeroCopyPolicy) {
    super(driver, zeroCopy)
    this.report = report
    this.zeroCopyPolicy = policy
    abandoned.register(this, driver, driver)
  }

  /**
   * Builds a ring and starts its driver.
   *
   * @throws TypeError, RangeError for a bad option; SystemError when this machine gives no ring, and
   *   `ERR_URING_UNAVAILABLE` when `URING_DISABLE` forbids it (`Uring.availability()` tells beforehand).
   */
  static open(options: UringOptions = {}): Uring {
    checkOptions(options)
    const { zeroCopy = false, mappedBuffers, foreignMappings, fileWorkers, ...config } = options
    checkBoolean('options.zeroCopy', zeroCopy)
    const mapped = { mappedBuffers, foreignMappings }
    checkMappedBufferOptions(mapped)
    const leastWorkers = checkFileWorkers(fileWorkers)
    // Asked only where `URING_DISABLE` or a foreign event loop may forbid a ring. Whether the kernel allows
    // one, the build itself finds out, without a probe ring.
    if (process.env['URING_DISABLE'] !== undefined || !isNodesLoop) {
      const answer = driverAvailability()
      if (!answer.available) throw unavailableError(answer)
    }
    const { ring, report } = build(config)
    announceRing(ring)
    raiseFileWorkers(ring, leastWorkers)
    const arena = new Arena(announceRegion)
    try {
      return new Uring(new Driver(ring, arena, mapped), report, zeroCopy, config.zeroCopyPolicy ?? 'auto')
    } catch (error) {
      ring.close()
      arena.close()
      throw error
    }
  }

  /** Whether a ring can be built here. */
  static get available(): boolean {
    return driverAvailability().available
  }

  /** Whether a ring can be built here, and exactly why not. */
  static availability(): Availability {
    return driverAvailability()
  }

  /** Operations not settled yet. */
  get inFlight(): number {
    return this.driver.inFlight
  }

  /** Counts since the ring was opened; a copy. */
  get counters(): Counters {
    return this.driver.counters
  }

  get closed(): boolean {
    return this.driver.closed
  }

  /** What becomes of operations on memory that is a mapping of a file. */
  get mappedBuffers(): MappedBufferPolicy {
    return this.driver.mappedBuffers
  }

  /** Those of `inFlight` that wait for room in the ring, beyond `cqEntries`. */
  get waiting(): number {
    return this.driver.waiting
  }

  /** Lets the process end although operations are in flight. */
  unref(): this {
    this.driver.unref()
    return this
  }

  /** Keeps the process alive while operations are in flight, which is the default. */
  ref(): this {
    this.driver.ref()
    return this
  }

  /** Submits now what this turn has issued, instead of at the end of the turn. */
  flush(): void {
    this.driver.flush()
  }

  /**
   * Closes the ring: new operations are refused with EBADF, those that wait for room or can be cancelled reject with
   * AbortError, the others settle as they end. Resolves when the kernel has let go of everything.
   *
   * @throws TypeError for an argument: a descriptor is closed by `closeFd`.
   */
  close(): Promise<void>
  close(...given: readonly unknown[]): Promise<void> {
    if (given.length > 0 && given[0] !== undefined) {
      throw invalidValue('fd', given[0], 'is none of close(), which closes the ring: use closeFd()')
    }
    abandoned.unregister(this.driver)
    return this.driver.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
