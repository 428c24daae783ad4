import { bufferIdOf } from '../../../src/ring/buffer-ring.js'
import { prepProvideBuffers, prepRead, prepRemoveBuffers } from '../../../src/ring/prep/index.js'
import type { Ring } from '../../../src/ring/ring.js'
import { IOSQE_BUFFER_SELECT } from '../../../src/syscalls/abi/index.js'
import { write } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, kernelIsAtLeast, needs, test } from '../../harness.js'
import { memory, must, named, openRing, pipe, result, run, text } from './fixture.js'

const { reading, writing } = pipe()

/** Passes a text through the pipe into a provided buffer. */
function receive(ring: Ring, content: string, group: number): { bid: number; res: number | string } {
  const bytes = memory(content)
  write(writing, addressOf(bytes), bytes.byteLength)
  const { res, flags } = run(ring, (sqe) =>
    prepRead(sqe, reading, 0, 8, -1).setFlags(IOSQE_BUFFER_SELECT).setBufferGroup(group),
  )
  return { bid: bufferIdOf(flags), res: named(res) }
}

test(
  'prepProvideBuffers() gives a row of buffers, each used once',
  needs({ opcode: 'IORING_OP_PROVIDE_BUFFERS' }, () => {
    using ring = openRing()
    const bytes = memory(4 * 8)
    assert.is(
      must(ring, (sqe) => prepProvideBuffers(sqe, addressOf(bytes), 8, 4, 3, 100)),
      0,
    )
    const seen: number[] = []
    for (const word of ['one', 'two', 'three', 'four']) {
      const { bid, res } = receive(ring, word, 3)
      assert.is(res, word.length)
      const start = (bid - 100) * 8
      assert.is(text(bytes.subarray(start, start + word.length)), word)
      seen.push(bid)
    }
    assert.equal(seen.sort(), [100, 101, 102, 103])
    const read = result(ring, (sqe) =>
      prepRead(sqe, reading, 0, 8, -1).setFlags(IOSQE_BUFFER_SELECT).setBufferGroup(3),
    )
    assert.is(read, 'ENOBUFS')
  }),
)

test(
  'prepProvideBuffers() fails on no buffers, too many, ids beyond 65535, foreign memory',
  needs({ opcode: 'IORING_OP_PROVIDE_BUFFERS' }, () => {
    using ring = openRing()
    const bytes = memory(64)
    const provide = (length: number, count: number, firstId: number): number | string =>
      result(ring, (sqe) => prepProvideBuffers(sqe, addressOf(bytes), length, count, 3, firstId))
    assert.is(provide(8, 0, 0), 'E2BIG')
    assert.is(provide(8, 65537, 0), 'E2BIG')
    // Older kernels let the ids wrap.
    if (kernelIsAtLeast('6.1')) assert.is(provide(8, 2, 65535), 'EINVAL')
    const kernelMemory = result(ring, (sqe) =>
      prepProvideBuffers(sqe, Number.MAX_SAFE_INTEGER - 7, 8, 1, 3, 0),
    )
    assert.is(kernelMemory, 'EFAULT')
  }),
)

test(
  'prepRemoveBuffers() takes back what is left',
  needs({ opcode: 'IORING_OP_REMOVE_BUFFERS' }, () => {
    using ring = openRing()
    const bytes = memory(4 * 8)
    must(ring, (sqe) => prepProvideBuffers(sqe, addressOf(bytes), 8, 4, 65535, 0))
    assert.is(
      must(ring, (sqe) => prepRemoveBuffers(sqe, 1, 65535)),
      1,
    )
    assert.is(
      must(ring, (sqe) => prepRemoveBuffers(sqe, 64, 65535)),
      3,
    )
  }),
)

test(
  'prepRemoveBuffers() fails on an unknown group and on a count of 0',
  needs({ opcode: 'IORING_OP_REMOVE_BUFFERS' }, () => {
    using ring = openRing()
    assert.is(
      result(ring, (sqe) => prepRemoveBuffers(sqe, 1, 9)),
      'ENOENT',
    )
    assert.is(
      result(ring, (sqe) => prepRemoveBuffers(sqe, 0, 9)),
      'EINVAL',
    )
  }),
)

test.run()
