// Ending operations early: signals and time limits in every state of an operation, races, memory that the kernel still
// has, cancels that find nothing at first.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import {
  addressOf,
  IORING_ASYNC_CANCEL_ANY,
  IOSQE_IO_HARDLINK,
  IOSQE_IO_LINK,
  kernelCalls,
  POLLIN,
  prepNop,
  prepPollAdd,
  prepRead,
  prepSendZc,
} from '../../src/ring/index.js'
import { close } from '../../src/syscalls/libc.js'
import { assert, needs, test } from '../harness.js'
import {
  eightBytes,
  KINDS,
  outcome,
  outcomes,
  pipe,
  Signal,
  TestRing,
  temporaryFolder,
  turns,
  until,
  withCalls,
} from './fixture.js'

const here = needs.bind(null, { ring: true } as const)
const folder = temporaryFolder()
const path = join(folder, 'file')
writeFileSync(path, 'x'.repeat(100_000))
const file = openSync(path, 'r+')

for (const [kind, flags] of Object.entries(KINDS)) {
  test(
    `an operation of a ${kind} ring can be aborted in every state`,
    needs({ setup: flags }, async () => {
      await using uring = new TestRing({ entries: 8, cqEntries: 8, flags })
      using never = new Signal()
      const reason = new Error('no more')
      const isAbortError = { name: 'AbortError', code: 'ABORT_ERR', message: 'The operation was aborted' }

      // Already.
      await assert.rejects(
        uring.read(never.fd, eightBytes(), { signal: AbortSignal.abort(reason) }),
        isAbortError,
      )

      // Before it was submitted, in the same turn, the next tick, a microtask.
      const moments: ((abort: () => void) => void)[] = [
        (abort) => abort(),
        (abort) => process.nextTick(abort),
        (abort) => queueMicrotask(abort),
        (abort) => setImmediate(abort),
        (abort) => setTimeout(abort, 5),
      ]
      for (const schedule of moments) {
        const controller = new AbortController()
        const read = uring.read(never.fd, eightBytes(), { signal: controller.signal })
        schedule(() => controller.abort(reason))
        await assert.rejects(
          read,
          (error) => error.name === 'AbortError' && (error as { cause?: unknown }).cause === reason,
        )
      }

      // While it waits for room.
      const patience = new AbortController()
      const waiting = Array.from({ length: 20 }, () =>
        uring.read(never.fd, eightBytes(), { signal: patience.signal, timeoutMs: 60_000 }),
      )
      assert.ok(uring.driver.waiting > 0)
      await turns(2)
      patience.abort()
      assert.equal(await outcomes(waiting), { ABORT_ERR: 20 })

      // When it is over.
      const late = new AbortController()
      assert.is(await uring.read(file, eightBytes(), { offset: 0, signal: late.signal }), 8)
      late.abort()
      assert.is(uring.driver.inFlight, 0)
      assert.is(uring.arena.blocksInUse, 0)
    }),
  )

  test(
    `an abort on a ${kind} ring that races the completion leaves one of the two, and no trace`,
    needs({ setup: flags }, async () => {
      await using uring = new TestRing({ entries: 32, flags })
      const counts: Record<string, number> = {}
      for (let round = 0; round < 400; round++) {
        using signal = new Signal()
        const controller = new AbortController()
        const read = uring.read(signal.fd, eightBytes(), {
          signal: controller.signal,
          ...(round % 2 === 0 && { timeoutMs: 1000 }),
        })
        const raise = (): void => signal.raise()
        const abort = (): void => controller.abort()
        if (round % 4 < 2) queueMicrotask(raise)
        else setImmediate(raise)
        if (round % 8 < 4) setImmediate(abort)
        else queueMicrotask(abort)
        const result = String(await outcome(read))
        counts[result] = (counts[result] ?? 0) + 1
      }
      assert.equal(
        Object.keys(counts).filter((key) => key !== '8' && key !== 'ABORT_ERR'),
        [],
      )
      await until(() => uring.driver.inFlight === 0)
      assert.is(uring.arena.blocksInUse, 0)
    }),
  )
}

test(
  'an operation aborted before it was submitted has no effect, however fast it would have been',
  here(async () => {
    await using uring = new TestRing()
    const target = openSync(join(folder, 'untouched'), 'w+')
    const controller = new AbortController()
    const { signal } = controller
    const data = Buffer.from('written')
    const promises = [
      uring.write(target, data, { offset: 0, signal }),
      uring.write(target, data, { offset: 0, signal, timeoutMs: 1000 }),
      uring.unlink(join(folder, 'untouched'), { signal }),
    ]
    const unharmed = uring.write(target, Buffer.from('!'), { offset: 0 })
    controller.abort()
    assert.equal(await outcomes(promises), { ABORT_ERR: 3 })
    assert.is(await unharmed, 1)
    assert.is(readFileSync(join(folder, 'untouched'), 'utf8'), '!')
    assert.is(uring.arena.blocksInUse, 0)
    close(target)
  }),
)

test(
  'a promise settles only when the kernel has let go of the memory',
  here(async () => {
    // A kernel that holds the answer to the cancel back for a while.
    let isHeld = false
    const calls = withCalls({
      enter: (...args) => (isHeld ? 0 : kernelCalls.enter(...args)),
    })
    await using uring = new TestRing({}, calls)
    using never = new Signal()
    const controller = new AbortController()
    let isSettled = false
    const read = outcome(uring.read(never.fd, eightBytes(), { signal: controller.signal }))
    read.then(() => {
      isSettled = true
    })
    await turns(2)
    isHeld = true
    controller.abort()
    await turns(5)
    assert.not(isSettled)
    assert.is(uring.driver.inFlight, 1)
    isHeld = false
    uring.driver.flush()
    assert.is(await read, 'ABORT_ERR')
  }),
)

test(
  'a time limit ends an operation with ETIMEDOUT, and one that was met changes nothing',
  here(async () => {
    await using uring = new TestRing({ entries: 16, cqEntries: 16 })
    using never = new Signal()
    const error = await uring.read(never.fd, eightBytes(), { timeoutMs: 10 }).catch((reason) => reason)
    assert.is(error.code, 'ETIMEDOUT')
    assert.is(error.errno, -110)
    assert.is(error.syscall, 'read')
    assert.match(error.message, /^ETIMEDOUT: connection timed out, read/)
    assert.is(await outcome(uring.poll(never.fd, POLLIN, { timeoutMs: 0 })), 'ETIMEDOUT')
    assert.is(await outcome(uring.read(file, eightBytes(), { offset: 0, timeoutMs: 0 })), 8)
    assert.is(await outcome(uring.read(99_999, eightBytes(), { offset: 0, timeoutMs: 1000 })), 'EBADF')
    const many = Array.from({ length: 100 }, (_, index) =>
      uring.poll(never.fd, POLLIN, { timeoutMs: 1 + (index % 7) + 0.5 }),
    )
    assert.equal(await outcomes(many), { ETIMEDOUT: 100 })
    assert.is(uring.arena.blocksInUse, 0)
    const both = new AbortController()
    const pending = uring.poll(never.fd, POLLIN, { timeoutMs: 60_000, signal: both.signal })
    await turns(1)
    both.abort()
    assert.is(await outcome(pending), 'ABORT_ERR')
  }),
)

test(
  'a time limit of a wait on a futex or for a child ends it with ETIMEDOUT too',
  needs({ opcode: 'IORING_OP_WAITID' }, async () => {
    await using uring = new TestRing()
    const word = new Int32Array(new ArrayBuffer(4))
    const P_PID = 1
    const WEXITED = 4
    const child = spawn('sleep', ['60'])
    const waits = [
      uring.futexWait(word, 0, { timeoutMs: 20 }),
      uring.waitid(P_PID, child.pid!, WEXITED, { timeoutMs: 20 }),
    ]
    assert.equal(await outcomes(waits), { ETIMEDOUT: 2 })
    // One that was met changes nothing, nor does one behind an abort.
    const woken = uring.futexWait(word, 0, { timeoutMs: 60_000 })
    const controller = new AbortController()
    const aborted = uring.futexWait(word, 0, { timeoutMs: 60_000, signal: controller.signal })
    await turns(1)
    controller.abort()
    assert.is(await outcome(aborted), 'ABORT_ERR')
    assert.is(await uring.futexWake(word, 1), 1)
    assert.is(await woken, 0)
    child.kill()
    assert.is(uring.driver.inFlight, 0)
    assert.is(uring.arena.blocksInUse, 0)
  }),
)

test(
  'a time limit reaches an operation that blocks one of the kernel’s own threads',
  here(async () => {
    await using uring = new TestRing()
    // A pipe that blocks, read by a thread of the kernel.
    const [readEnd, writeEnd] = pipe(0)
    assert.is(await outcome(uring.read(readEnd, eightBytes(), { async: true, timeoutMs: 30 })), 'ETIMEDOUT')
    const controller = new AbortController()
    const read = uring.read(readEnd, eightBytes(), { async: true, signal: controller.signal })
    await new Promise((resolve) => setTimeout(resolve, 20))
    controller.abort()
    assert.is(await outcome(read), 'ABORT_ERR')
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'an abort finds an operation that has not started yet, once it starts',
  here(async () => {
    await using uring = new TestRing()
    using first = new Signal()
    using never = new Signal()
    const controller = new AbortController()
    const before = uring.read(first.fd, eightBytes())
    await turns(1)
    // Deferred until the read before it is over; the kernel does not look for it there.
    const drained = uring.read(never.fd, eightBytes(), { drain: true, signal: controller.signal })
    await turns(2)
    controller.abort()
    await new Promise((resolve) => setTimeout(resolve, 60))
    first.raise()
    assert.is(await before, 8)
    assert.is(await outcome(drained), 'ABORT_ERR')
  }),
)

test(
  'aborting every operation of a full ring takes no more room than there is',
  here(async () => {
    await using uring = new TestRing({ entries: 64, cqEntries: 128 })
    using never = new Signal()
    const controller = new AbortController()
    const { signal } = controller
    const promises = Array.from({ length: 5000 }, () => uring.poll(never.fd, POLLIN, { signal }))
    await turns(2)
    assert.is(uring.driver.waiting, 5000 - 128)
    controller.abort()
    assert.is(uring.driver.waiting, 0)
    assert.equal(await outcomes(promises), { ABORT_ERR: 5000 })
    assert.is(uring.driver.inFlight, 0)
    assert.is(await uring.nop(), 0)
  }),
)

test(
  'operations on other signals go on when one is aborted, those that wait in their order',
  here(async () => {
    await using uring = new TestRing({ entries: 4, cqEntries: 4 })
    using gate = new Signal()
    const order: number[] = []
    const controllers = Array.from({ length: 30 }, () => new AbortController())
    const promises = controllers.map(({ signal }, index) =>
      uring.poll(gate.fd, POLLIN, { signal }).then(() => order.push(index)),
    )
    await turns(1)
    for (let index = 5; index < 30; index += 3) controllers[index]!.abort()
    gate.raise()
    const counts = await outcomes(promises)
    assert.is(counts['ABORT_ERR'], 9)
    assert.is(order.length, 21)
    // Those that the ring had already end in the order of the kernel's choice.
    const waited = order.filter((index) => index >= 4)
    assert.equal(
      waited,
      [...waited].sort((a, b) => a - b),
    )
  }),
)

test(
  'cancelFd() ends what is in flight on a descriptor, and counts it',
  needs({ linux: '5.19' }, async () => {
    await using uring = new TestRing()
    using never = new Signal()
    using other = new Signal()
    const reads = Array.from({ length: 3 }, () => uring.read(never.fd, eightBytes()))
    const unharmed = uring.read(other.fd, eightBytes())
    assert.is(await uring.cancelFd(never.fd), 3)
    assert.equal(await outcomes(reads), { ECANCELED: 3 })
    assert.is(await uring.cancelFd(never.fd), 0)
    other.raise()
    assert.is(await unharmed, 8)
  }),
)

test(
  'aborting a member of a chain ends what follows it, in the ring and in line',
  here(async () => {
    for (const flag of [IOSQE_IO_LINK, IOSQE_IO_HARDLINK]) {
      await using uring = new TestRing({ entries: 4, cqEntries: 4 })
      using never = new Signal()
      const results: unknown[] = []
      const controller = new AbortController()
      const chain = (signal?: AbortSignal): void => {
        const prepares = [
          prepNop,
          (sqe: Parameters<typeof prepNop>[0]) => prepPollAdd(sqe, never.fd, POLLIN),
          (sqe: Parameters<typeof prepNop>[0]) => prepPollAdd(sqe, never.fd, POLLIN),
        ]
        uring.driver.submitChain(
          prepares.map((prepare) => ({
            prepare,
            options: { signal },
            resolve: (value) => results.push(value),
            reject: (error) => results.push((error as { code: string }).code),
          })),
          flag,
        )
      }
      chain(controller.signal)
      chain(controller.signal)
      assert.is(uring.driver.waiting, 3)
      await turns(3)
      controller.abort()
      await until(() => results.length === 6, 'the chains ending')
      const aborted = results.filter((result) => result === 'ABORT_ERR').length
      assert.is(aborted, 5)
      assert.is(results.filter((result) => result === 0).length, 1)
      assert.is(uring.driver.inFlight, 0)
    }
  }),
)

test(
  'aborting one member of a hard chain lets those behind it go on',
  here(async () => {
    await using uring = new TestRing()
    using never = new Signal()
    const controller = new AbortController()
    const results: unknown[] = []
    const member = (
      prepare: Parameters<TestRing['submit']>[0],
      signal?: AbortSignal,
    ): Parameters<TestRing['driver']['submitChain']>[0][number] => ({
      prepare,
      options: { signal },
      resolve: (value) => results.push(value),
      reject: (error) => results.push((error as { code: string }).code),
    })
    const waiting = (sqe: Parameters<typeof prepNop>[0]): unknown => prepPollAdd(sqe, never.fd, POLLIN)
    uring.driver.submitChain(
      [member(waiting as never, controller.signal), member(prepNop as never), member(waiting as never)],
      IOSQE_IO_HARDLINK,
    )
    await turns(2)
    controller.abort()
    await until(() => results.length === 2, 'the first two ending')
    await turns(10)
    assert.equal(results, ['ABORT_ERR', 0])
    never.raise()
    await until(() => results.length === 3, 'the third ending')
    assert.equal(results, ['ABORT_ERR', 0, POLLIN])
  }),
)

test(
  'the memory of a zero-copy send is held until its notification, whatever comes in between',
  needs({ opcode: 'IORING_OP_SEND_ZC' }, async () => {
    await using uring = new TestRing({ entries: 8, cqEntries: 8 })
    const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
    const data = Buffer.alloc(50_000, 7)
    const sends = Array.from({ length: 40 }, (_, index) =>
      uring.submit((sqe) => prepSendZc(sqe, fd, addressOf(data), data.length, 0, 0), {
        memory: data,
        ...(index % 2 === 0 && { timeoutMs: 20_000 }),
      }),
    )
    const results = await Promise.all(sends.map(outcome))
    assert.ok(
      results.every((result) => typeof result === 'number' && result > 0),
      String(results),
    )
    // An error comes without a notification.
    assert.is(
      await outcome(
        uring.submit((sqe) => prepSendZc(sqe, file, addressOf(data), 10, 0, 0), { memory: data }),
      ),
      'ENOTSOCK',
    )
    assert.is(uring.driver.inFlight, 0)
    assert.equal(await outcomes(Array.from({ length: 50 }, () => uring.nop())), { 0: 50 })
    socket.destroy()
    server.close()
  }),
)

test(
  'a kernel that cannot cancel all is asked for each',
  here(async () => {
    const uring = new TestRing({ entries: 8 })
    using never = new Signal()
    const { ring } = uring.driver
    // As before 5.19: the flag is unknown.
    const getSqe = ring.getSqe.bind(ring)
    const handedOut: { words: Int32Array }[] = []
    Object.defineProperty(ring, 'getSqe', {
      value: () => {
        const sqe = getSqe()
        if (sqe !== null) handedOut.push(sqe)
        return sqe
      },
    })
    const submit = ring.submit.bind(ring)
    let refused = 0
    Object.defineProperty(ring, 'submit', {
      value: () => {
        for (const { words } of handedOut.splice(0)) {
          if ((words[0]! & 0xff) === 14 && words[7]! & IORING_ASYNC_CANCEL_ANY) {
            words[7] = 1 << 20
            refused++
          }
        }
        return submit()
      },
    })
    const pending = [uring.read(never.fd, eightBytes()), uring.poll(never.fd, POLLIN, { timeoutMs: 60_000 })]
    await turns(2)
    const closing = uring.close()
    assert.equal(await outcomes(pending), { ABORT_ERR: 2 })
    await closing
    assert.ok(refused > 0)
  }),
)

test(
  'a read of memory that is aborted in mid-flight never writes it afterwards',
  here(async () => {
    await using uring = new TestRing()
    const [readEnd, writeEnd] = pipe()
    for (let round = 0; round < 100; round++) {
      const controller = new AbortController()
      const memory = eightBytes()
      const read = outcome(
        uring.submit((sqe) => prepRead(sqe, readEnd, addressOf(memory), 8, -1), {
          memory,
          signal: controller.signal,
        }),
      )
      await turns(1)
      if (round % 2 === 0) writeSync(writeEnd, 'abcdefgh')
      controller.abort()
      const result = await read
      const snapshot = Buffer.from(memory)
      if (round % 2 !== 0) writeSync(writeEnd, 'abcdefgh')
      await turns(1)
      assert.equal(Buffer.from(memory), snapshot)
      // What was not read is taken out for the next round.
      if (result === 'ABORT_ERR') assert.is(await uring.read(readEnd, eightBytes()), 8)
      else if (round % 2 !== 0) assert.unreachable(`${result} without data`)
    }
    close(readEnd)
    close(writeEnd)
  }),
)

test.run()
