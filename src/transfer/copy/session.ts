// What the copies of one call share: a ring of their own, opened on first use, and which pairs of file
// systems have refused a reflink.

import { forLargeFiles, probe, type RingReport } from '../../config/index.js'
import { IORING_FEAT_CQE_SKIP } from '../../ring/index.js'
import { announceFallback } from '../../runtime/diagnostics.js'
import { Uring } from '../../runtime/index.js'
import { isRestricted, RESTRICTED_REASON } from '../../runtime/permission-model.js'
import { deviceOf, type FileStat } from './stat.js'

export interface SessionOptions {
  /** Ask for a kernel thread that submits. */
  readonly sqpoll: boolean
}

/** The operations that copies need. If the kernel lacks one of them, copies have no ring. */
const OPCODES = [
  'IORING_OP_OPENAT',
  'IORING_OP_READ_FIXED',
  'IORING_OP_WRITE_FIXED',
  'IORING_OP_READ',
  'IORING_OP_WRITE',
  'IORING_OP_CLOSE',
] as const

/** Entries for batches of many small files, and their completions. */
const SQ_ENTRIES = 1024
const CQ_ENTRIES = 4096

export class CopySession {
  readonly #options: SessionOptions
  #uring: Uring | null | undefined
  #maker: Uring | null = null
  #reason = ''
  readonly #withoutReflink = new Set<string>()

  constructor(options: SessionOptions) {
    this.#options = options
  }

  /** The ring, or null where there is none: `ringReason` says why. */
  get ring(): Uring | null {
    if (this.#uring === undefined) this.#uring = this.#open()
    return this.#uring
  }

  /** Why there is no ring; empty while there is one, or none was asked for. */
  get ringReason(): string {
    return this.#reason
  }

  /** How the ring was set up; null when none was needed or available. */
  get ringReport(): RingReport | null {
    return this.#uring?.report ?? null
  }

  /** Times the kernel was entered by the rings. */
  get enters(): number {
    return (this.#uring?.driver.counters.enters ?? 0) + (this.#maker?.driver.counters.enters ?? 0)
  }

  /** Whether small files can be copied by chains of operations on registered files. Linux 5.17. */
  get canChain(): boolean {
    const features = this.ring?.driver.ring.features ?? 0
    return (features & IORING_FEAT_CQE_SKIP) !== 0
  }

  /** Whether a reflink between these two has not failed yet. */
  mayReflink(source: FileStat, target: FileStat): boolean {
    // Another file system could be recognised without a try, but not in a way that is right for network file
    // systems too.
    return !this.#withoutReflink.has(`${deviceOf(source)} ${deviceOf(target)}`)
  }

  reflinkFailed(source: FileStat, target: FileStat): void {
    this.#withoutReflink.add(`${deviceOf(source)} ${deviceOf(target)}`)
  }

  /**
   * Opens a second ring, for chains that run on kernel worker threads. Their operations on registered files
   * lock their ring: on the first one they would wait for every batch that is submitted there, and the
   * submissions for them.
   *
   * @throws What `Uring.open` throws.
   */
  openMaker(sqEntries: number): Uring {
    this.#maker ??= Uring.open({ ...forLargeFiles(), sqEntries, fileWorkers: 0 })
    return this.#maker
  }

  async close(): Promise<void> {
    // The chains of this ring write from memory of the other one.
    await this.#maker?.close()
    await this.#uring?.close()
  }

  #open(): Uring | null {
    const refusal = ringRefusal()
    if (refusal !== null) return this.#without(refusal)
    const { sqpoll } = this.#options
    try {
      return Uring.open({
        ...forLargeFiles(),
        sqEntries: SQ_ENTRIES,
        cqEntries: CQ_ENTRIES,
        fileWorkers: 0,
        sqpoll,
      })
    } catch (error) {
      return this.#without((error as Error).message)
    }
  }

  #without(reason: string): null {
    this.#reason = reason
    announceFallback('transfer copy', reason)
    return null
  }
}

/** Why there can be no ring, before one is tried; null when nothing speaks against it. */
function ringRefusal(): string | null {
  if (isRestricted) return RESTRICTED_REASON
  const { available, reason } = Uring.availability()
  if (!available) return reason
  const { opcodes } = probe()
  const missing = OPCODES.find((opcode) => !opcodes.includes(opcode))
  return missing === undefined ? null : `the kernel lacks ${missing}`
}
