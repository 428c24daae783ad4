// Obligation 17 at length: descriptors, mappings and SQPOLL threads before and after, over hundreds of rings.

import { prepRead } from '../../src/ring/prep/read-write.js'
import { Ring } from '../../src/ring/ring.js'
import type { RingOptions } from '../../src/ring/setup.js'
import {
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQPOLL,
} from '../../src/syscalls/abi/index.js'
import { close } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { assert, needs, test, unmet } from '../harness.js'
import { firstCensus, nextSqe, openPipe, queueNops, reap, sameAs } from './drive.js'
import '../settled.js'

const own = IORING_SETUP_NO_MMAP
const EINVAL = -22
/** What registering a ring's descriptor comes to: before Linux 5.18 it is refused. */
const RING_FD_RESULT = unmet({ register: 'IORING_REGISTER_RING_FDS' }) === null ? 0 : EINVAL

const KINDS: readonly (readonly [string, Partial<RingOptions>, number])[] = [
  ['plain', {}, 200],
  ['DEFER_TASKRUN', { flags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN }, 200],
  ['NO_MMAP', { flags: own }, 200],
  ['REGISTERED_FD_ONLY', { flags: own | IORING_SETUP_REGISTERED_FD_ONLY }, 200],
  ['SQPOLL', { flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 1 }, 50],
]

for (const [name, options, cycles] of KINDS) {
  test(
    `${cycles} rings opened, used and closed leave nothing: ${name}`,
    needs({ setup: options.flags ?? 0 }, () => {
      const before = firstCensus()
      for (let cycle = 0; cycle < cycles; cycle++) {
        const ring = Ring.open({ entries: 4, ...options })
        if (cycle % 2 === 0 && name !== 'REGISTERED_FD_ONLY') assert.is(ring.registerRingFd(), RING_FD_RESULT)
        queueNops(ring, 1, 2, 3)
        ring.submitAndWait(3)
        assert.equal(reap(ring), [1, 2, 3])
        ring.close()
      }
      sameAs(before)
    }),
  )
}

test(
  'rings closed with reads in flight leave nothing',
  needs({ ring: true }, () => {
    const { readEnd, writeEnd } = openPipe()
    const bytes = new Uint8Array(new ArrayBuffer(8))
    const before = firstCensus()
    for (let cycle = 0; cycle < 20; cycle++) {
      const ring = Ring.open({ entries: 4 })
      for (let count = 0; count < 4; count++) prepRead(nextSqe(ring), readEnd, addressOf(bytes), 8, 0)
      ring.submit()
      ring.close()
    }
    sameAs(before)
    close(readEnd)
    close(writeEnd)
  }),
)

test.run()
