// What a binding owes the kernel (docs/obligations.md), obligations 8 to 14: clean entries, honest counts, matching by user_data,
// and who has to enter the kernel when.

import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepFsync } from '../../src/ring/prep/file-space.js'
import { prepNop } from '../../src/ring/prep/nop.js'
import { prepPollAdd } from '../../src/ring/prep/poll.js'
import { prepRead } from '../../src/ring/prep/read-write.js'
import { prepTimeout } from '../../src/ring/prep/timeouts.js'
import { Ring } from '../../src/ring/ring.js'
import { WORD_OP_FLAGS, WORD_OPCODE } from '../../src/ring/sqe.js'
import {
  IORING_ENTER_GETEVENTS,
  IORING_REGISTER_EVENTFD,
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQE128,
  IORING_SETUP_SUBMIT_ALL,
  IORING_SETUP_TASKRUN_FLAG,
  IORING_SQ_TASKRUN,
  KERNEL_TIMESPEC,
  POLLIN,
} from '../../src/syscalls/abi/index.js'
import { close, eventfd, fcntl, poll, read, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { assert, needs, test } from '../harness.js'
import { nextSqe, openPipe, queueNops, range, reap, results, spied, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const EINVAL = -22

for (const [name, flags, count] of [
  ['64', 0, 16],
  ['128', IORING_SETUP_SQE128, 32],
] as const) {
  test(`obligation 8: getSqe() hands out ${name} bytes of zeros, whatever was there`, () => {
    const fake = new FakeRing()
    const ring = Ring.open({ entries: 4, flags }, fake)
    for (let lap = 0; lap < 2; lap++) {
      fake.sqes.fill(-1, 0, 4 * count)
      for (let slot = 0; slot < 4; slot++) {
        const { words } = nextSqe(ring)
        assert.equal([...words], new Array(count).fill(0))
        words.fill(0x7f7f7f7f)
      }
      assert.is(ring.submit(), 4)
      reap(ring)
    }
    ring.close()
    fake.dispose()
  })
}

test(
  'obligation 8: what the kernel refuses with -EINVAL is refused here when it can be',
  needs({ setup: 'IORING_SETUP_SUBMIT_ALL' }, () => {
    const ring = Ring.open({ entries: 4, flags: IORING_SETUP_SUBMIT_ALL })
    const sqe = prepNop(nextSqe(ring)).setUserData(1)
    for (const set of [() => sqe.setFlags(0x80), () => sqe.addFlags(0x80), () => sqe.setFlags(-1)]) {
      assert.is(thrown(set).code, 'ERR_OUT_OF_RANGE')
    }
    sqe.words[WORD_OPCODE] = 0x80 << 8
    nextSqe(ring).setUserData(2).words[WORD_OPCODE] = 255
    prepFsync(nextSqe(ring), 0).setUserData(3).words[WORD_OP_FLAGS] = 0x7000
    queueNops(ring, 4)
    ring.submit()
    const expected = [
      [1, EINVAL],
      [2, EINVAL],
      [3, EINVAL],
      [4, 0],
    ]
    assert.equal([...results(ring)], expected)
    ring.close()
  }),
)

test(
  'obligation 9: what enter(2) did not take goes with the next submit',
  needs({ ring: true }, () => {
    const ring = Ring.open({ entries: 4 })
    for (const userData of range(1, 4)) {
      const sqe = prepNop(nextSqe(ring)).setUserData(userData)
      if (userData === 2) sqe.words[WORD_OPCODE] = 255
    }
    assert.is(ring.submit(), 2)
    assert.is(ring.sqPending, 2)
    assert.is(ring.sqSpaceLeft, 2)
    assert.is(ring.submit(), 2)
    assert.is(ring.sqPending, 0)
    // In whatever order: before Linux 6.3 what fails at once comes before what is done already.
    const found = [...results(ring)].sort(([a], [b]) => a - b)
    assert.equal(
      found.map(([, res]) => res),
      [0, EINVAL, 0, 0],
    )
    ring.close()
  }),
)

test('obligation 10: to_submit, min_complete and GETEVENTS are three controls', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 8 }, fake)
  const last = (): number[] => {
    const { toSubmit, minComplete, flags } = fake.enters.at(-1)!
    return [toSubmit, minComplete, flags]
  }
  queueNops(ring, 1, 2)
  assert.is(ring.submit(), 2)
  assert.equal(last(), [2, 0, 0])
  queueNops(ring, 3)
  assert.is(ring.submitAndWait(2), 1)
  assert.equal(last(), [1, 0, 0], 'what is waited for is there without a wait')
  assert.is(ring.submitAndWait(4), 0)
  assert.equal(last(), [0, 4, IORING_ENTER_GETEVENTS])
  assert.is(ring.submitAndGetEvents(), 0)
  assert.equal(last(), [0, 0, IORING_ENTER_GETEVENTS])
  ring.getEvents()
  assert.equal(last(), [0, 0, IORING_ENTER_GETEVENTS])
  assert.is(fake.enters.length, 5)
  assert.is(ring.submit(), 0)
  assert.is(fake.enters.length, 5, 'nothing to submit: no system call')
  ring.close()
  fake.dispose()
})

test(
  'obligation 10: an idle ring has nothing to take and nothing to wait for',
  needs({ ring: true }, () => {
    const ring = Ring.open({ entries: 2 })
    assert.is(ring.submitAndWait(0), 0)
    assert.is(ring.submitAndGetEvents(), 0)
    assert.is(ring.submitAndWait(0, 1000), 0)
    ring.close()
  }),
)

test(
  'obligation 11: the CQE of a cached read is there when submit() returns',
  needs({ opcode: 'IORING_OP_READ' }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'uring-'))
    const path = join(folder, 'cached')
    writeFileSync(path, 'x'.repeat(4096))
    const fd = openSync(path, 'r')
    const ring = Ring.open({ entries: 2 })
    const bytes = Buffer.from(new ArrayBuffer(4096))
    for (const userData of range(1, 50)) {
      prepRead(nextSqe(ring), fd, addressOf(bytes), 4096, 0).setUserData(userData)
      ring.submit()
      assert.equal([...results(ring)], [[userData, 4096]])
    }
    ring.close()
    close(fd)
    rmSync(folder, { recursive: true })
  }),
)

test(
  'obligation 12: completions are matched by user_data, not by order',
  needs({ ring: true }, () => {
    const ring = Ring.open({ entries: 4 })
    const delays = [60, 20, 40]
    const times = delays.map((ms) => Struct.alloc(KERNEL_TIMESPEC).set('tv_nsec', ms * 1e6))
    times.forEach((time, index) => {
      prepTimeout(nextSqe(ring), time.address).setUserData(delays[index]!, 5)
    })
    prepNop(nextSqe(ring)).setUserData(0xffff_ffff, 0xffff_fffe)
    ring.submit()
    const seen: number[][] = []
    while (seen.length < 4) {
      ring.submitAndWait(1, 1000)
      ring.forEachCqe((low, high) => seen.push([low, high]))
    }
    // The NOP was the last to be asked for. How the timers come depends on how late this process is.
    assert.equal(seen.shift(), [0xffff_ffff, 0xffff_fffe])
    const later = seen.sort(([a], [b]) => a! - b!)
    assert.equal(
      later,
      [20, 40, 60].map((ms) => [ms, 5]),
    )
    ring.close()
  }),
)

test(
  'obligation 13: the completion queue is read without entering the kernel',
  needs({ ring: true }, () => {
    const calls = spied()
    const ring = Ring.open({ entries: 4 }, calls)
    queueNops(ring, 1, 2, 3)
    ring.submit()
    assert.is(calls.counts.enter, 1)
    assert.is(ring.cqReady, 3)
    assert.equal(reap(ring), [1, 2, 3])
    assert.equal(reap(ring), [])
    assert.is(calls.counts.enter, 1)
    ring.close()
  }),
)

for (const [name, flags, entersWhenIdle] of [
  ['DEFER_TASKRUN', IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 1],
  [
    'DEFER_TASKRUN | TASKRUN_FLAG',
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0,
  ],
  ['COOP_TASKRUN | TASKRUN_FLAG', IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0],
] as const) {
  test(
    `obligation 13: with ${name} what is held back is fetched, and only then the kernel entered`,
    needs({ setup: ['IORING_SETUP_SINGLE_ISSUER', 'IORING_SETUP_DEFER_TASKRUN'] }, () => {
      const calls = spied()
      const ring = Ring.open({ entries: 4, flags }, calls)
      const { readEnd, writeEnd } = openPipe()
      // A poll and not a read, which before Linux 6.4 ends in a thread of the kernel where it is of a pipe.
      prepPollAdd(nextSqe(ring), readEnd, POLLIN).setUserData(1)
      ring.submit()
      const before = calls.counts.enter
      assert.equal(reap(ring), [])
      assert.is(calls.counts.enter - before, entersWhenIdle)
      write(writeEnd, addressOf(Buffer.from('held')), 4)
      if (flags & IORING_SETUP_TASKRUN_FLAG && flags & IORING_SETUP_DEFER_TASKRUN) {
        assert.ok(ring.sqFlags & IORING_SQ_TASKRUN)
      }
      assert.equal([...results(ring)], [[1, POLLIN]])
      ring.close()
      close(readEnd)
      close(writeEnd)
    }),
  )
}

test(
  'obligation 14: the ring and its eventfd become readable, and SIGIO does not come',
  needs({ ring: true }, async () => {
    const [F_SETFL, F_SETOWN, O_ASYNC] = [4, 8, 0x2000]
    const ring = Ring.open({ entries: 4 })
    const event = eventfd(0, 0x800)
    const cell = new Int32Array(new ArrayBuffer(4))
    cell[0] = event
    assert.is(ring.register(IORING_REGISTER_EVENTFD, addressOf(cell), 1), 0)
    let signals = 0
    const count = (): void => {
      signals++
    }
    process.on('SIGIO', count)
    fcntl(ring.fd, F_SETOWN, process.pid)
    fcntl(ring.fd, F_SETFL, O_ASYNC)
    assert.is(poll(ring.fd, 0), 0)
    queueNops(ring, 1, 2)
    ring.submit()
    assert.is(poll(ring.fd, 1000), 1)
    const counter = new BigUint64Array(new ArrayBuffer(8))
    assert.is(read(event, addressOf(counter), 8), 8)
    assert.ok(counter[0]! >= 1n)
    assert.equal(reap(ring), [1, 2])
    assert.is(poll(ring.fd, 0), 0)
    await new Promise((settle) => setTimeout(settle, 20))
    assert.is(signals, 0)
    process.off('SIGIO', count)
    ring.close()
    close(event)
  }),
)

test.run()
