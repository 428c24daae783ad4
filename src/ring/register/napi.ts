// NAPI busy polling: the ring polls its sockets' network devices while it waits, instead of sleeping until an
// interrupt. It buys latency with processor time.

import { IO_URING_NAPI, IORING_REGISTER_NAPI, IORING_UNREGISTER_NAPI } from '../../syscalls/abi/index.js'
import { checkBoolean, checkInteger, checkMembers } from '../../syscalls/argument-errors.js'
import { Struct } from '../../syscalls/struct.js'
import type { Ring } from '../ring.js'
import { callRegister, checkRegister, type Hints } from './call.js'

/** Settings of busy polling. */
export interface NapiSettings {
  /** How long a wait polls before it sleeps, in microseconds; 0 is off. */
  readonly busyPollUs: number
  /** Poll instead of taking interrupts, where the device allows it. */
  readonly preferBusyPoll: boolean
}

const HINTS: Hints = {
  EINVAL: 'it needs Linux 6.9, a kernel with CONFIG_NET_RX_BUSY_POLL, and a ring without IORING_SETUP_IOPOLL',
}

function settings(argument: Struct<keyof typeof IO_URING_NAPI.fields>): NapiSettings {
  return { busyPollUs: argument.get('busy_poll_to'), preferBusyPoll: argument.get('prefer_busy_poll') !== 0 }
}

/**
 * Turns busy polling on. Linux 6.9.
 *
 * @returns The settings before the call.
 * @throws TypeError, RangeError; SystemError `io_uring_register`: EINVAL (an IOPOLL ring, or not in this kernel).
 * @see io_uring_register_napi(3)
 */
export function registerNapi(ring: Ring, options: Partial<NapiSettings> = {}): NapiSettings {
  checkMembers('options', options, ['busyPollUs', 'preferBusyPoll'])
  const busyPollUs = checkInteger('options.busyPollUs', options.busyPollUs ?? 0, 0, 0xffff_ffff)
  const preferBusyPoll = checkBoolean('options.preferBusyPoll', options.preferBusyPoll ?? false)
  const argument = Struct.alloc(IO_URING_NAPI)
  argument.assign({ busy_poll_to: busyPollUs, prefer_busy_poll: preferBusyPoll ? 1 : 0 })
  checkRegister(callRegister(ring, IORING_REGISTER_NAPI, argument, 1), IORING_REGISTER_NAPI, HINTS)
  return settings(argument)
}

/**
 * Turns busy polling off. Linux 6.9.
 *
 * @returns The settings before the call.
 * @throws As `registerNapi`.
 * @see io_uring_unregister_napi(3)
 */
export function unregisterNapi(ring: Ring): NapiSettings {
  const argument = Struct.alloc(IO_URING_NAPI)
  checkRegister(callRegister(ring, IORING_UNREGISTER_NAPI, argument, 1), IORING_UNREGISTER_NAPI, HINTS)
  return settings(argument)
}
