// Opens a ring as root, gives up root, uses and closes the ring, then tries what an unprivileged user can do under a
// small RLIMIT_MEMLOCK. Prints one JSON object.

import { Ring } from '../../../src/ring/ring.js'
import { IORING_REGISTER_BUFFERS, IORING_SETUP_SQPOLL, IOVEC } from '../../../src/syscalls/abi/index.js'
import { MappedRegion } from '../../../src/syscalls/memory.js'
import { Struct } from '../../../src/syscalls/struct.js'
import { eventually, queueNops, reap, ringDescriptors, ringMappings, sqpollThreads } from '../drive.js'

function describe(error: unknown): object {
  const { code, errno, syscall, message } = error as Error & { code: string; errno: number; syscall: string }
  return { code, errno, syscall, message }
}

const plain = Ring.open({ entries: 8 })
const polled = Ring.open({ entries: 8, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 10 })
process.setgid!(65534)
process.setuid!(65534)

const seen: number[][] = []
for (const ring of [plain, polled]) {
  queueNops(ring, 1, 2)
  ring.submitAndWait(2)
  seen.push(reap(ring))
}
plain.close()
polled.close()
const left = {
  descriptors: ringDescriptors().length,
  mappings: ringMappings().length,
  threads: eventually(() => sqpollThreads().length === 0) ? 0 : sqpollThreads().length,
}

// A registered buffer counts against RLIMIT_MEMLOCK on every kernel; ring memory only before Linux 5.12.
let opened: object
let registered = 0
try {
  const ring = Ring.open({ entries: 8 })
  const region = MappedRegion.anonymous(1024 * 1024)
  const iovec = Struct.alloc(IOVEC).assign({ iov_base: region.address, iov_len: region.length })
  registered = ring.register(IORING_REGISTER_BUFFERS, iovec.address, 1)
  ring.close()
  opened = {}
} catch (error) {
  opened = describe(error)
}
console.log(JSON.stringify({ uid: process.getuid!(), seen, left, opened, registered }))
