// Which backend carries a server or a connection: the ring that was given, the thread's shared one, or node:net.

import { probe } from '../config/index.js'
import { announceFallback } from '../runtime/diagnostics.js'
import { defaultUring, type Uring } from '../runtime/index.js'
import type { OpcodeName } from '../syscalls/abi/index.js'
import type { Backend } from './backend.js'
import { nodeBackend } from './fallback/backend.js'
import { ringBackend } from './ring/ring-backend.js'

/** What a connection needs of the kernel: Linux 5.11. */
const NEEDED: readonly OpcodeName[] = [
  'IORING_OP_ACCEPT',
  'IORING_OP_ASYNC_CANCEL',
  'IORING_OP_CLOSE',
  'IORING_OP_CONNECT',
  'IORING_OP_PROVIDE_BUFFERS',
  'IORING_OP_RECV',
  'IORING_OP_SEND',
  'IORING_OP_SENDMSG',
  'IORING_OP_SHUTDOWN',
]

/** The first opcode that the kernel lacks, or null; undefined before the probe. */
let lacking: string | null | undefined

/** @param uring - The ring that the user has chosen, if any. */
export function chooseBackend(uring: Uring | undefined): Backend {
  const ring = uring ?? defaultUring()
  if (ring === null) return nodeBackend
  if (lacking === undefined) {
    const { opcodes } = probe()
    lacking = NEEDED.find((name) => !opcodes.includes(name)) ?? null
  }
  if (lacking === null) return ringBackend(ring)
  announceFallback('net', `the kernel lacks ${lacking}`)
  return nodeBackend
}
