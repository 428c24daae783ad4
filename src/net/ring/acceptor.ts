// Accepts connections with one multishot accept on the listening socket. It is armed again when it ends
// early, after a pause when descriptors or memory are short. Connections wait in the backlog meanwhile, so
// none is lost.

import { constants } from 'node:os'
import { prepAccept, prepMultishotAccept, SOCK_CLOEXEC, type Sqe } from '../../ring/index.js'
import type { Slot } from '../../runtime/slot.js'
import { ECANCELED, EINVAL } from '../../syscalls/errno-values.js'
import { netError } from '../errors.js'
import { announced } from './announced.js'
import type { Hub } from './hub.js'

/** The server that it accepts for. */
export interface AcceptorHost {
  accepted(fd: number): void
  /** An error that will not pass; nothing is accepted any more. */
  acceptFailed(error: Error): void
  /** After `stop`: the kernel has let go of the listening socket. */
  acceptorIdle(): void
}

/** The pause when descriptors or memory are short: the first, doubled each time up to the second. */
const FIRST_REST_MS = 5
const LONGEST_REST_MS = 500

const { errno } = constants
/** Shortages that pass when somebody frees descriptors or memory. */
const SHORTAGES: ReadonlySet<number> = new Set([-errno.EMFILE, -errno.ENFILE, -errno.ENOBUFS, -errno.ENOMEM])
/** Errors of the connection that was to be accepted, or none at all (accept(2)). EHOSTDOWN, ENONET. */
const PASSING: ReadonlySet<number> = new Set([
  -errno.ECONNABORTED,
  -errno.EPROTO,
  -errno.ENETDOWN,
  -errno.ENOPROTOOPT,
  -errno.EHOSTUNREACH,
  -errno.EOPNOTSUPP,
  -errno.ENETUNREACH,
  -errno.EINTR,
  -errno.EAGAIN,
  -errno.EPERM,
  -112,
  -64,
])

export class Acceptor {
  readonly #hub: Hub
  readonly #host: AcceptorHost
  readonly #fd: number
  #slot: Slot | null = null
  #isArmed = false
  #isStopped = false
  #hasMultishot = true
  #hasAccepted = false
  #restMs = FIRST_REST_MS
  #rest: NodeJS.Timeout | null = null

  constructor(hub: Hub, host: AcceptorHost, fd: number) {
    this.#hub = hub
    this.#host = host
    this.#fd = fd
  }

  get idle(): boolean {
    return !this.#isArmed
  }

  start(): void {
    if (this.#isArmed || this.#isStopped || this.#rest !== null || this.#hub.driver.closed) return
    this.#isArmed = true
    const slot = this.#hub.driver.submitMultishot(this.#prepare, this.#onCqe, 'accept', this, true, true)
    if (this.#isArmed) this.#slot = slot
  }

  /** A descriptor was closed: ends the pause, if there is one. */
  descriptorClosed(): void {
    if (this.#rest === null) return
    clearTimeout(this.#rest)
    this.#rest = null
    this.start()
  }

  /** Cancels the accept. Connections that are accepted before the cancel takes effect are still delivered. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    if (this.#rest !== null) clearTimeout(this.#rest)
    this.#rest = null
    if (this.#slot !== null) this.#hub.driver.cancel(this.#slot)
  }

  readonly #prepare = (sqe: Sqe): void => {
    if (this.#hasMultishot) prepMultishotAccept(sqe, this.#fd, 0, 0, SOCK_CLOEXEC)
    else prepAccept(sqe, this.#fd, 0, 0, SOCK_CLOEXEC)
  }

  readonly #onCqe = (res: number, _flags: number, more: boolean): void => {
    if (!more) {
      this.#isArmed = false
      this.#slot = null
    }
    if (res >= 0) {
      this.#hasAccepted = true
      this.#restMs = FIRST_REST_MS
      // Undoes the driver's note. Whoever takes the descriptor notes it again, perhaps for another thread.
      announced?.closing(res)
      this.#host.accepted(res)
    } else if (!this.#isStopped) this.#onFailure(res)
    if (more) return
    if (this.#isStopped) this.#host.acceptorIdle()
    else this.start()
  }

  #onFailure(res: number): void {
    if (SHORTAGES.has(res)) {
      this.#rest = setTimeout(this.#onRested, this.#restMs)
      this.#restMs = Math.min(2 * this.#restMs, LONGEST_REST_MS)
    } else if (res === EINVAL && this.#hasMultishot && !this.#hasAccepted) {
      // Before Linux 5.19 there is no multishot accept.
      this.#hasMultishot = false
    } else if (!PASSING.has(res) && !(res === ECANCELED && this.#hub.driver.closed)) {
      this.#isStopped = true
      this.#host.acceptFailed(netError(res, 'accept'))
    }
  }

  readonly #onRested = (): void => {
    this.#rest = null
    this.start()
  }
}
