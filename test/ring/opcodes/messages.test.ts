import { closeSync, openSync, writeFileSync } from 'node:fs'
import {
  prepMsgRing,
  prepMsgRingCqeFlags,
  prepMsgRingFd,
  prepMsgRingFdAlloc,
  prepRead,
} from '../../../src/ring/prep/index.js'
import { registerFiles } from '../../../src/ring/register/index.js'
import type { Ring } from '../../../src/ring/ring.js'
import {
  IORING_FILE_INDEX_ALLOC,
  IORING_MSG_RING_CQE_SKIP,
  IOSQE_FIXED_FILE,
} from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, kernelIsAtLeast, needs, test } from '../../harness.js'
import { isQuiet, memory, must, openRing, result, temporary, text, WAIT_MS } from './fixture.js'

/** The next completion with both halves of its user_data. */
function arrival(ring: Ring): { low: number; high: number; res: number; flags: number } {
  ring.submitAndWait(1, WAIT_MS)
  let found: { low: number; high: number; res: number; flags: number } | undefined
  ring.forEachCqe((low, high, res, flags) => {
    found = { low, high, res, flags }
  })
  assert.ok(found)
  return found!
}

test(
  'prepMsgRing() posts a completion on another ring',
  needs({ opcode: 'IORING_OP_MSG_RING' }, () => {
    using here = openRing()
    using there = openRing()
    assert.is(
      must(here, (sqe) => prepMsgRing(sqe, there.fd, 42, 0xffff_ffff, 0x8000_0001)),
      0,
    )
    assert.equal(arrival(there), { low: 0xffff_ffff, high: 0x8000_0001, res: 42, flags: 0 })
    must(here, (sqe) => prepMsgRing(sqe, there.fd, 0xffff_fffe, 1))
    assert.equal(arrival(there), { low: 1, high: 0, res: -2, flags: 0 })
  }),
)

test(
  'prepMsgRingCqeFlags() also says the flags',
  needs({ opcode: 'IORING_OP_MSG_RING', linux: '6.3' }, () => {
    using here = openRing()
    using there = openRing()
    must(here, (sqe) => prepMsgRingCqeFlags(sqe, there.fd, 1, 2, 3, 0, 0x0007_0001))
    assert.equal(arrival(there), { low: 2, high: 3, res: 1, flags: 0x0007_0001 })
  }),
)

test(
  'prepMsgRing() fails on what is no ring, and on an unknown flag',
  needs({ opcode: 'IORING_OP_MSG_RING' }, () => {
    using here = openRing()
    using there = openRing()
    assert.is(
      result(here, (sqe) => prepMsgRing(sqe, 0, 1, 1)),
      'EBADFD',
    )
    assert.is(
      result(here, (sqe) => prepMsgRing(sqe, -1, 1, 1)),
      'EBADF',
    )
    assert.is(
      result(here, (sqe) => prepMsgRing(sqe, there.fd, 1, 1, 0, 1 << 30)),
      'EINVAL',
    )
    const passed = result(here, (sqe) => prepMsgRingCqeFlags(sqe, 0, 1, 1, 0, 0, 0))
    // Linux 6.3 knows the flag.
    assert.is(passed, kernelIsAtLeast('6.3') ? 'EBADFD' : 'EINVAL')
  }),
)

/** Two rings; the first has a registered file in slot 1. */
function withFile(content: string): { here: Ring; there: Ring; [Symbol.dispose](): void } {
  const [here, there] = [openRing(), openRing()]
  const path = temporary(`message-${content}`)
  writeFileSync(path, content)
  const fd = openSync(path, 'r')
  registerFiles(here, [-1, fd])
  closeSync(fd)
  registerFiles(there, [-1, -1])
  return {
    here,
    there,
    [Symbol.dispose]: () => {
      here.close()
      there.close()
    },
  }
}

function readSlot(ring: Ring, slot: number): string {
  const bytes = memory(16)
  return text(
    bytes,
    must(ring, (sqe) => prepRead(sqe, slot, addressOf(bytes), 16, 0).setFlags(IOSQE_FIXED_FILE)),
  )
}

test(
  'prepMsgRingFd() installs a registered file on another ring',
  needs({ opcode: 'IORING_OP_MSG_RING', linux: '6.0' }, () => {
    using rings = withFile('sent')
    const { here, there } = rings
    assert.is(
      must(here, (sqe) => prepMsgRingFd(sqe, there.fd, 1, 1, 5, 6)),
      0,
    )
    assert.equal(arrival(there), { low: 5, high: 6, res: 0, flags: 0 })
    assert.is(readSlot(there, 1), 'sent')
    assert.is(readSlot(here, 1), 'sent', 'it is still here')
  }),
)

test(
  'prepMsgRingFdAlloc() lets the other ring choose, without a completion there if so asked',
  needs({ opcode: 'IORING_OP_MSG_RING', linux: '6.2' }, () => {
    using rings = withFile('chosen')
    const { here, there } = rings
    assert.is(
      must(here, (sqe) => prepMsgRingFdAlloc(sqe, there.fd, 1, 5, 0, IORING_MSG_RING_CQE_SKIP)),
      0,
    )
    assert.ok(isQuiet(there))
    assert.is(readSlot(there, 0), 'chosen')
    assert.is(
      must(here, (sqe) => prepMsgRingFd(sqe, there.fd, 1, IORING_FILE_INDEX_ALLOC, 5)),
      1,
    )
    assert.equal(arrival(there), { low: 5, high: 0, res: 1, flags: 0 })
    assert.is(
      result(here, (sqe) => prepMsgRingFdAlloc(sqe, there.fd, 1, 5)),
      'ENFILE',
    )
  }),
)

test(
  'prepMsgRingFd() fails on an empty slot, past the end, and to the same ring',
  needs({ opcode: 'IORING_OP_MSG_RING', linux: '6.0' }, () => {
    using rings = withFile('kept')
    const { here, there } = rings
    assert.is(
      result(here, (sqe) => prepMsgRingFd(sqe, there.fd, 0, 0, 5)),
      'EBADF',
    )
    assert.is(
      result(here, (sqe) => prepMsgRingFd(sqe, there.fd, 1, 2, 5)),
      'EINVAL',
    )
    assert.is(
      result(here, (sqe) => prepMsgRingFd(sqe, here.fd, 1, 0, 5)),
      'EINVAL',
    )
  }),
)

test.run()
