// What a binding owes the kernel (docs/obligations.md), obligations 4 to 7: who owns an entry and what it points to, the completion
// queue that is too small, the entries that are dropped.

import { prepReadv } from '../../src/ring/prep/read-write.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IO_URING_PARAMS,
  IORING_FEAT_NODROP,
  IORING_OFF_SQ_RING,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SQPOLL,
  IORING_SQ_CQ_OVERFLOW,
  IOVEC,
} from '../../src/syscalls/abi/index.js'
import { close, viewMemory, write } from '../../src/syscalls/libc.js'
import { addressOf, MappedRegion } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { kernelCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import { complete, eventually, nextSqe, openPipe, queueNops, range, reap, spied, thrown } from './drive.js'

/** A pending READV of a pipe, its buffer and its iovec. */
function pendingReadv(ring: Ring): {
  writeEnd: number
  bytes: Buffer
  iovec: Struct<'iov_base' | 'iov_len'>
} {
  const { readEnd, writeEnd } = openPipe()
  const bytes = Buffer.from(new ArrayBuffer(16))
  const iovec = Struct.alloc(IOVEC).assign({ iov_base: addressOf(bytes), iov_len: 16 })
  prepReadv(nextSqe(ring), readEnd, iovec.address, 1, 0).setUserData(7)
  assert.is(ring.submit(), 1)
  return { writeEnd, bytes, iovec }
}

function writeText(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  assert.is(write(fd, addressOf(bytes), bytes.length), bytes.length)
  close(fd)
}

test(
  'obligation 4: an operation in flight is untouched by the reuse of its slot',
  needs({ ring: true }, () => {
    const ring = Ring.open({ entries: 1 })
    const { writeEnd, bytes } = pendingReadv(ring)
    queueNops(ring, 8)
    assert.equal([...complete(ring, 1)], [[8, 0]])
    writeText(writeEnd, 'whole')
    assert.equal([...complete(ring, 1)], [[7, 5]])
    assert.is(bytes.toString('latin1', 0, 5), 'whole')
    ring.close()
  }),
)

for (const [name, flags] of [
  ['', 0],
  [', under SQPOLL once sq.head has passed', IORING_SETUP_SQPOLL],
] as const) {
  test(
    `obligation 5: an iovec is the caller's again after the submit${name}`,
    needs({ feature: 'IORING_FEAT_SUBMIT_STABLE' }, () => {
      const ring = Ring.open({ entries: 4, flags })
      const { writeEnd, bytes, iovec } = pendingReadv(ring)
      assert.ok(eventually(() => ring.sqPending === 0))
      iovec.bytes.fill(0xff)
      writeText(writeEnd, 'stable')
      assert.equal([...complete(ring, 1)], [[7, 6]])
      assert.is(bytes.toString('latin1', 0, 6), 'stable')
      ring.close()
    }),
  )
}

test(
  'obligation 6: what overflows the completion queue is flushed, in order',
  needs({ feature: 'IORING_FEAT_NODROP' }, () => {
    const ring = Ring.open({ entries: 4, cqEntries: 8 })
    assert.ok(ring.features & IORING_FEAT_NODROP)
    for (const first of [1, 5, 9]) {
      queueNops(ring, ...range(first, first + 3))
      ring.submit()
    }
    assert.is(ring.cqReady, 8)
    assert.ok(ring.sqFlags & IORING_SQ_CQ_OVERFLOW)
    assert.equal(reap(ring), range(1, 8))
    assert.equal(reap(ring), range(9, 12))
    assert.not(ring.sqFlags & IORING_SQ_CQ_OVERFLOW)
    assert.equal(reap(ring), [])
    ring.close()
  }),
)

/** A real ring, and its SQ array as the kernel sees it. */
function openWithArray(flags = 0): {
  ring: Ring
  array: Int32Array
  arrayOffset: number
  region: MappedRegion
} {
  let arrayOffset = 0
  const calls = spied({
    setup(entries, address) {
      const fd = kernelCalls.setup(entries, address)
      const params = new Struct(IO_URING_PARAMS, new Uint8Array(viewMemory(address, IO_URING_PARAMS.size)))
      arrayOffset = params.get('sq_off.array')
      return fd
    },
  })
  const ring = Ring.open({ entries: 4, flags }, calls)
  const region = MappedRegion.ofFile(ring.fd, 4096, IORING_OFF_SQ_RING)
  return { ring, array: new Int32Array(region.buffer, arrayOffset, 4), arrayOffset, region }
}

test(
  'obligation 7: the SQ array is the identity, and a dropped entry is an error',
  needs({ ring: true }, () => {
    const { ring, array, region } = openWithArray()
    assert.equal([...array], [0, 1, 2, 3])
    queueNops(ring, 1, 2, 3)
    array[1] = 77
    const error = thrown(() => ring.submit())
    assert.is(error.code, 'ERR_URING_SQE_DROPPED')
    assert.is(error.lost, 1)
    // The rest is not lost: the third entry goes with the next submit.
    assert.is(ring.sqPending, 1)
    assert.is(ring.submit(), 1)
    assert.equal(reap(ring), [1, 3])
    region.unmap()
    ring.close()
  }),
)

test(
  'obligation 7: with NO_SQARRAY there is no array to get wrong',
  needs({ setup: 'IORING_SETUP_NO_SQARRAY' }, () => {
    const { ring, arrayOffset, region } = openWithArray(IORING_SETUP_NO_SQARRAY)
    assert.is(arrayOffset, 0)
    queueNops(ring, 1, 2, 3, 4)
    assert.is(ring.submit(), 4)
    assert.equal(reap(ring), [1, 2, 3, 4])
    region.unmap()
    ring.close()
  }),
)

test.run()
