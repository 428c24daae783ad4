// After close(): nothing works and nothing crashes; what was in flight writes no memory; what was given out is harmless.

import { execFileSync } from 'node:child_process'
import { constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepMsgRing } from '../../src/ring/prep/messages.js'
import { prepNop } from '../../src/ring/prep/nop.js'
import { prepPollAdd } from '../../src/ring/prep/poll.js'
import { prepRead } from '../../src/ring/prep/read-write.js'
import { prepTimeout } from '../../src/ring/prep/timeouts.js'
import { registerFiles } from '../../src/ring/register/files.js'
import { Ring } from '../../src/ring/ring.js'
import type { RingOptions } from '../../src/ring/setup.js'
import {
  IORING_FEAT_RW_ATTR,
  IORING_REGISTER_FILES,
  IORING_REGISTER_FILES_UPDATE,
  IORING_REGISTER_SYNC_CANCEL,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQPOLL,
  IOSQE_ASYNC,
  IOSQE_FIXED_FILE,
  KERNEL_TIMESPEC,
} from '../../src/syscalls/abi/index.js'
import { close, read, write } from '../../src/syscalls/libc.js'
import { addressOf, MappedRegion } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { kernelCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import {
  block,
  nextSqe,
  openPipe,
  queueNops,
  ringDescriptors,
  ringMappings,
  spied,
  thrown,
  without,
} from './drive.js'
import { FakeRing } from './fake-ring.js'

const EINVAL = -22

/** Everything that a closed ring refuses. */
const REFUSED: Readonly<Record<string, (ring: Ring) => unknown>> = {
  getSqe: (ring) => ring.getSqe(),
  getSqe128: (ring) => ring.getSqe128(),
  submit: (ring) => ring.submit(),
  submitAndGetEvents: (ring) => ring.submitAndGetEvents(),
  submitAndWait: (ring) => ring.submitAndWait(1),
  'submitAndWait, timed': (ring) => ring.submitAndWait(1, 10),
  submitAndWaitRegistered: (ring) => ring.submitAndWaitRegistered(1, 0),
  waitForSqSpace: (ring) => ring.waitForSqSpace(),
  forEachCqe: (ring) => ring.forEachCqe(() => {}),
  forEachBigCqe: (ring) => ring.forEachBigCqe(() => {}),
  getEvents: (ring) => ring.getEvents(),
  enable: (ring) => ring.enable(),
  'eventfdEnabled =': (ring) => {
    ring.eventfdEnabled = true
  },
  registerRingFd: (ring) => ring.registerRingFd(),
  unregisterRingFd: (ring) => ring.unregisterRingFd(),
  register: (ring) => ring.register(IORING_REGISTER_FILES, 0, 0),
  resize: (ring) => ring.resize({ entries: 8 }),
}

test('a closed ring refuses every call, and makes no system call', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4, flags: IORING_SETUP_SQPOLL }, fake)
  ring.close()
  const before = [fake.enters.length, fake.registers.length]
  for (const [name, call] of Object.entries(REFUSED)) {
    const error = thrown(() => call(ring))
    assert.equal([error.code, error.message], ['ERR_INVALID_STATE', 'The ring is closed'], name)
  }
  assert.equal([fake.enters.length, fake.registers.length], before)
  fake.dispose()
})

test('every method is among those that a closed ring refuses, but for the ones that are harmless', () => {
  const harmless = ['constructor', 'close', 'hold', 'held', 'endedSilently', 'expectForeignCqes', 'giveBack']
  const methods = Object.entries(Object.getOwnPropertyDescriptors(Ring.prototype))
    .filter(([, { value }]) => typeof value === 'function')
    .map(([name]) => name)
  assert.equal(
    methods.filter((name) => !(name in REFUSED) && !harmless.includes(name)),
    [],
  )
})

test(
  'a closed ring answers what it was, and that nothing is there',
  needs({ ring: true }, () => {
    const ring = Ring.open({ entries: 4 })
    const { features, flags } = ring
    queueNops(ring, 1, 2)
    ring.submit()
    queueNops(ring, 3)
    ring.close()
    assert.is(ring.closed, true)
    assert.is(ring.fd, -1)
    assert.equal([ring.features, ring.flags, ring.sqEntries, ring.cqEntries], [features, flags, 4, 8])
    assert.equal([ring.sqPending, ring.sqSpaceLeft, ring.cqReady, ring.sqFlags], [0, 0, 0, 0])
    assert.is(ring.eventfdEnabled, false)
    assert.is(ring.completionMemory, null)
    ring.giveBack()
    ring.hold('key', 'value')
  }),
)

test(
  'close() twice, and by `using`, closes once',
  needs({ ring: true }, () => {
    const calls = spied()
    const ring = Ring.open({ entries: 4 }, calls)
    const { fd } = ring
    ring.close()
    const before = { ...calls.counts }
    // The number is taken again: a second close(2) would hit a stranger.
    const stranger = openSync('/dev/null', 'r')
    assert.is(stranger, fd)
    ring.close()
    ring[Symbol.dispose]()
    assert.equal(calls.counts, before)
    close(stranger)
    assert.equal([ringDescriptors(), ringMappings()], [[], []])
  }),
)

test(
  'entries kept beyond close() are harmless',
  needs({ ring: true }, () => {
    const ring = Ring.open({ entries: 2 })
    const sqe = nextSqe(ring)
    const { words } = sqe
    ring.close()
    words[0] = -1
    assert.throws(() => words.fill(-1), TypeError)
    prepNop(sqe).setUserData(1, 2).setFlags(1).addFlags(2).setIoprio(3).setPersonality(4)
    sqe.setBufferGroup(5).setBufferIndex(6)
    assert.equal([words.length, sqe.words.length], [0, 0])
  }),
)

for (const [name, options] of [
  ['a plain ring', { flags: 0 }],
  ['a DEFER_TASKRUN ring', { flags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN }],
  ['an SQPOLL ring', { flags: IORING_SETUP_SQPOLL }],
] as const satisfies readonly (readonly [string, Partial<RingOptions>])[]) {
  test(
    `close() of ${name} with reads, polls and timeouts pending: no memory is written afterwards`,
    needs({ setup: options.flags }, () => {
      const { readEnd, writeEnd } = openPipe()
      const time = Struct.alloc(KERNEL_TIMESPEC).set('tv_nsec', 5e6)
      for (let round = 0; round < 5; round++) {
        const ring = Ring.open({ entries: 16, ...options })
        const bytes = Buffer.from(new ArrayBuffer(64))
        for (const flags of [0, IOSQE_ASYNC]) {
          prepRead(nextSqe(ring), readEnd, addressOf(bytes), 32, 0).setFlags(flags)
          prepRead(nextSqe(ring), readEnd, addressOf(bytes) + 32, 32, -1).setFlags(flags)
        }
        prepPollAdd(nextSqe(ring), readEnd, 1)
        prepTimeout(nextSqe(ring), time.address)
        ring.submit()
        block(round)
        assert.is(ring.close(), true, 'everything has ended')
        write(writeEnd, addressOf(Buffer.from('x'.repeat(64))), 64)
        block(5)
        assert.ok(bytes.every((byte) => byte === 0))
        // Nobody took the data: it is all there.
        assert.is(read(readEnd, addressOf(Buffer.from(new ArrayBuffer(64))), 64), 64)
      }
      close(readEnd)
      close(writeEnd)
      assert.equal([ringDescriptors(), ringMappings()], [[], []])
    }),
  )

  for (const [kind, openFlags, sqeFlags] of [
    ['direct', constants.O_DIRECT, 0],
    ['direct io-wq', constants.O_DIRECT, IOSQE_ASYNC],
    ['buffered', 0, 0],
    ['buffered io-wq', 0, IOSQE_ASYNC],
  ] as const) {
    test(
      `close() of ${name} with ${kind} file reads in flight: no memory is written afterwards`,
      needs({ setup: options.flags }, () => {
        const [count, size] = [32, 1 << 18]
        const folder = mkdtempSync(join(tmpdir(), 'uring-'))
        const path = join(folder, 'file')
        writeFileSync(path, Buffer.alloc(count * size, 0x55), { flush: true })
        const file = openSync(path, constants.O_RDONLY | openFlags)
        const memory = MappedRegion.anonymous(count * size)
        const bytes = new Uint8Array(memory.buffer)
        for (const delayMs of [0, 1, 3]) {
          dropFromCache(path)
          bytes.fill(0xaa)
          const ring = Ring.open({ entries: count, ...options })
          for (let part = 0; part < count; part++) {
            const offset = part * size
            prepRead(nextSqe(ring), file, memory.address + offset, size, offset).setFlags(sqeFlags)
          }
          ring.submit()
          block(delayMs)
          ring.close()
          // Whatever had arrived by now may be there; from now on nothing may.
          const mine = bytes.fill(0xbb)
          block(30)
          assert.ok(Buffer.from(mine.buffer).equals(Buffer.alloc(count * size, 0xbb)))
        }
        memory.unmap()
        close(file)
        rmSync(folder, { recursive: true })
      }),
    )
  }
}

test(
  'close() shows the completions that were not reaped',
  needs({ ring: true }, () => {
    const ring = Ring.open({ entries: 4 })
    queueNops(ring, 7, 8)
    ring.submit()
    assert.throws(() => ring.close(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
    const seen: number[] = []
    assert.is(
      ring.close((low) => seen.push(low)),
      true,
    )
    assert.equal(seen, [7, 8])
  }),
)

test(
  'close() of a ring that other rings send messages to: no memory is written afterwards',
  needs({ opcode: 'IORING_OP_MSG_RING' }, () => {
    const [count, size] = [16, 1 << 20]
    const folder = mkdtempSync(join(tmpdir(), 'uring-'))
    const path = join(folder, 'file')
    writeFileSync(path, Buffer.alloc(count * size, 0x55), { flush: true })
    const file = openSync(path, constants.O_RDONLY | constants.O_DIRECT)
    const memory = MappedRegion.anonymous(count * size)
    const bytes = new Uint8Array(memory.buffer)
    for (let round = 0; round < 3; round++) {
      const sender = Ring.open({ entries: 64 })
      const ring = Ring.open({ entries: 64 })
      ring.expectForeignCqes()
      for (let part = 0; part < count; part++) {
        prepRead(nextSqe(ring), file, memory.address + part * size, size, part * size)
      }
      ring.submit()
      // As many messages as there are reads, so that the counts agree.
      for (let message = 0; message < count; message++) prepMsgRing(nextSqe(sender), ring.fd, 0, 1, 0, 0)
      sender.submitAndWait(count)
      assert.is(ring.close(), true)
      const mine = bytes.fill(0xbb)
      block(30)
      assert.ok(Buffer.from(mine.buffer).equals(Buffer.alloc(count * size, 0xbb)))
      sender.close()
    }
    memory.unmap()
    close(file)
    rmSync(folder, { recursive: true })
  }),
)

for (const hasTable of [false, true]) {
  test(
    `close() waits for nothing of which there may be no end, ${hasTable ? 'with' : 'without'} a table of files`,
    needs({ ring: true }, () => {
      // Before Linux 6.13 unregistering waits in the kernel for operations on registered files.
      const made: number[] = []
      const calls = without(IORING_FEAT_RW_ATTR, {
        register: (fd, opcode, ...rest) => {
          made.push(opcode & 0xff)
          // Unknown before 6.0: the read is in flight when the files are seen to.
          if ((opcode & 0xff) === IORING_REGISTER_SYNC_CANCEL) return EINVAL
          return kernelCalls.register(fd, opcode, ...rest)
        },
      })
      const { readEnd, writeEnd } = openPipe()
      const ring = Ring.open({ entries: 4 }, calls)
      if (hasTable) registerFiles(ring, [readEnd, -1, writeEnd])
      const bytes = Buffer.from(new ArrayBuffer(8))
      const read = prepRead(nextSqe(ring), hasTable ? 0 : readEnd, addressOf(bytes), 8, -1)
      if (hasTable) read.setFlags(IOSQE_FIXED_FILE)
      ring.submit()
      made.length = 0
      assert.is(ring.close(), true, 'the kernel has let go')
      const wanted = [IORING_REGISTER_SYNC_CANCEL, IORING_REGISTER_FILES]
      assert.equal(made, hasTable ? [...wanted, IORING_REGISTER_FILES_UPDATE] : wanted)
      close(readEnd)
      close(writeEnd)
      assert.equal([ringDescriptors(), ringMappings()], [[], []])
    }),
  )
}

/** Has the next read of a file go to its device. */
function dropFromCache(path: string): void {
  execFileSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none'])
}

for (const reading of [1, 2]) {
  test(`options whose getter closes the ring when read for time ${reading}: the kernel is not entered`, () => {
    let entered = 0
    const ring = Ring.open(
      { entries: 8 },
      {
        ...kernelCalls,
        enter(...rest) {
          if (ring.closed) entered++
          return kernelCalls.enter(...rest)
        },
      },
    )
    let readings = 0
    const options = {
      get minWaitUs() {
        if (++readings === reading) ring.close()
        return 0
      },
    }
    assert.throws(() => ring.submitAndWait(0, 1, options), { code: 'ERR_INVALID_STATE' })
    assert.is(entered, 0)
  })
}

test.run()
