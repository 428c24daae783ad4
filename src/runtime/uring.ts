// The promise driver's public face: one ring per thread, opened by hand or on first use.

import { availability, buildRing, type IoUringConfig, type RingReport } from '../config/index.js'
import { Arena } from './arena.js'
import { type Counters, Driver } from './driver.js'
import { announceRegion, watchWorkers } from './lifetime.js'
import { ControlOperations } from './operations/control.js'

/** What `Uring.open` takes besides the ring's configuration. */
export interface UringOptions extends Partial<IoUringConfig> {
  /**
   * In a worker: let the kernel write straight into ArrayBuffers. Faster, and unsafe if the worker is ever terminated
   * while operations are in flight: its memory is freed, the kernel still writes. Default false.
   */
  readonly zeroCopy?: boolean | undefined
}

watchWorkers()

// The driver outlives its facade: the event loop holds it through the wakeup. A facade that was dropped without a close
// takes its ring with it, once nothing is in flight.
const abandoned = new FinalizationRegistry<Driver>((driver) => {
  if (driver.closed) return
  process.emitWarning('Closing an io_uring ring on garbage collection; call uring.close()', 'RingLeak')
  driver.closeWhenIdle()
})

/**
 * io_uring as promises in Node's event loop.
 *
 * Operations issued in one turn go to the kernel in one system call; what is complete on return settles at once, the
 * rest wakes the event loop. Memory given to an operation is the kernel's until its promise settles.
 */
export class Uring extends ControlOperations {
  /** How the ring came to be: what was granted, refused and dropped. */
  readonly report: RingReport

  private constructor(driver: Driver, report: RingReport, zeroCopy: boolean) {
    super(driver, zeroCopy)
    this.report = report
    abandoned.register(this, driver, driver)
  }

  /**
   * Builds a ring and starts its driver.
   *
   * @throws TypeError, RangeError for a bad option; SystemError when this machine gives no ring (`Uring.available`
   *   tells beforehand).
   */
  static open(options: UringOptions = {}): Uring {
    const { zeroCopy = false, ...config } = options
    const { ring, report } = buildRing(config as IoUringConfig)
    const arena = new Arena(announceRegion)
    try {
      return new Uring(new Driver(ring, arena), report, zeroCopy)
    } catch (error) {
      ring.close()
      arena.close()
      throw error
    }
  }

  /** Whether a ring can be built here, and exactly why not. */
  static get available(): ReturnType<typeof availability> {
    return availability()
  }

  /** Operations not settled yet. */
  get inFlight(): number {
    return this.driver.inFlight
  }

  /** Counts since the ring was opened; a copy. */
  get counters(): Counters {
    return { ...this.driver.counters }
  }

  get closed(): boolean {
    return this.driver.closed
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

  /** Submits what this turn has issued now, instead of at its end. */
  flush(): void {
    this.driver.flush()
  }

  /**
   * Closes the ring: new operations are refused with EBADF, those that wait for room or can be cancelled reject with
   * AbortError, the others settle as they end. Resolves when the kernel has let go of everything.
   */
  close(): Promise<void> {
    abandoned.unregister(this.driver)
    return this.driver.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
