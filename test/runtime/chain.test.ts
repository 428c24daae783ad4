// Chains of linked operations: one system call, the outcome of every member, breaks, aborts, time limits, bounds.

import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { prepClose, prepNop, SHUT_WR } from '../../src/ring/index.js'
import { close } from '../../src/syscalls/libc.js'
import { assert, needs, test } from '../harness.js'
import { outcome, pipe, temporaryFolder, turns } from './fixture.js'
import { openUring } from './open-uring.js'

const NO_SUCH_FD = 0x7fff_fff0

const here = needs.bind(null, { ring: true } as const)
const folder = temporaryFolder()
const POLLIN = 1

function statuses(outcomes: readonly PromiseSettledResult<unknown>[]): string[] {
  return outcomes.map((outcome) =>
    outcome.status === 'fulfilled'
      ? `ok ${String(outcome.value)}`
      : outcome.reason.name === 'AbortError'
        ? 'AbortError'
        : outcome.reason.code,
  )
}

test(
  'chain() writes, syncs and closes in one system call',
  here(async () => {
    await using uring = openUring()
    const path = join(folder, 'one')
    const fd = openSync(path, 'w')
    const { enters } = uring.driver.counters
    const outcomes = await uring.chain((op) => [
      op.write(fd, Buffer.from('linked'), { offset: 2 }),
      op.fdatasync(fd),
      op.closeFd(fd),
      op.statx(path),
    ])
    assert.is(uring.driver.counters.enters - enters, 1)
    const [written, synced, closed, described] = outcomes
    assert.equal(
      [written, synced, closed].map((each) => each.status),
      ['fulfilled', 'fulfilled', 'fulfilled'],
    )
    assert.is(written.status === 'fulfilled' && written.value, 6)
    // The types follow each member's own.
    assert.is(described.status === 'fulfilled' && described.value.size, 8n)
    assert.is(readFileSync(path, 'utf8'), '\0\0linked')
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'members start one after the other',
  here(async () => {
    await using uring = openUring()
    const [readEnd, writeEnd] = pipe()
    const buffer = Buffer.alloc(8)
    const start = performance.now()
    let writtenAt = 0
    const outcomes = await uring.chain(
      (op) => [
        op.timeout(10),
        op.write(writeEnd, Buffer.from('late')).then(() => {
          writtenAt = performance.now()
        }),
        op.read(readEnd, buffer, { length: 4 }),
      ],
      { hard: true },
    )
    assert.ok(writtenAt - start >= 9.5, `${writtenAt - start} ms`)
    assert.ok(outcomes.every(({ status }) => status === 'fulfilled'))
    assert.is(buffer.toString('utf8', 0, 4), 'late')
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'a soft chain ends at the first failure, a hard one goes on',
  here(async () => {
    await using uring = openUring()
    // What this is refused for shows when it is tried: an entry with a bad descriptor older kernels refuse with its chain.
    const [readEnd, writeEnd] = pipe()
    const soft = await uring.chain((op) => [op.nop(), op.shutdown(readEnd, SHUT_WR), op.nop(), op.nop()])
    assert.equal(statuses(soft), ['ok 0', 'ENOTSOCK', 'ECANCELED', 'ECANCELED'])
    assert.is(soft[1].status === 'rejected' && soft[1].reason.syscall, 'shutdown')
    assert.is(soft[2].status === 'rejected' && soft[2].reason.syscall, 'nop')
    const hard = await uring.chain((op) => [op.nop(), op.shutdown(readEnd, SHUT_WR), op.nop()], {
      hard: true,
    })
    assert.equal(statuses(hard), ['ok 0', 'ENOTSOCK', 'ok 0'])
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'a short read succeeds and ends the chain',
  here(async () => {
    await using uring = openUring()
    const path = join(folder, 'short')
    writeFileSync(path, 'abc')
    const fd = openSync(path, 'r')
    const buffer = Buffer.alloc(8)
    const outcomes = await uring.chain((op) => [op.read(fd, buffer, { offset: 0 }), op.nop()])
    assert.equal(statuses(outcomes), ['ok 3', 'ECANCELED'])
    assert.is(buffer.toString('utf8', 0, 3), 'abc')
    close(fd)
  }),
)

test(
  'an entry that the kernel refuses cancels those before it as well',
  here(async () => {
    await using uring = openUring()
    // Personality 65535 is not registered.
    const outcomes = await uring.chain((op) => [op.nop(), op.nop({ personality: 65535 }), op.nop()])
    assert.equal(statuses(outcomes), ['ECANCELED', 'EINVAL', 'ECANCELED'])
  }),
)

test(
  "a member's timeoutMs limits that member, wherever it stands in the chain",
  here(async () => {
    await using uring = openUring()
    const [readEnd, writeEnd] = pipe()
    const buffer = Buffer.alloc(1)
    const soft = await uring.chain((op) => [op.nop(), op.read(readEnd, buffer, { timeoutMs: 5 }), op.nop()])
    assert.equal(statuses(soft), ['ok 0', 'ETIMEDOUT', 'ECANCELED'])
    const hard = await uring.chain(
      (op) => [op.read(readEnd, buffer, { timeoutMs: 5 }), op.nop({ timeoutMs: 1000 }), op.nop()],
      { hard: true },
    )
    assert.equal(statuses(hard), ['ETIMEDOUT', 'ok 0', 'ok 0'])
    const last = await uring.chain((op) => [op.nop(), op.poll(readEnd, POLLIN, { timeoutMs: 5 })])
    assert.equal(statuses(last), ['ok 0', 'ETIMEDOUT'])
    assert.is(uring.driver.inFlight, 0)
    assert.is(uring.driver.arena.blocksInUse, 0)
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'a signal cancels what is not over',
  here(async () => {
    await using uring = openUring()
    const [readEnd, writeEnd] = pipe()
    const buffer = Buffer.alloc(1)
    for (const hard of [false, true]) {
      const controller = new AbortController()
      const running = uring.chain(
        (op) => [op.nop(), op.read(readEnd, buffer), op.poll(readEnd, POLLIN), op.poll(readEnd, POLLIN)],
        { hard, signal: controller.signal },
      )
      await turns(2)
      controller.abort(new Error('reason'))
      const outcomes = await running
      assert.equal(statuses(outcomes), ['ok 0', 'AbortError', 'AbortError', 'AbortError'])
      assert.is(outcomes[1].status === 'rejected' && outcomes[1].reason.cause.message, 'reason')
    }
    const timed = await uring.chain((op) => [op.read(readEnd, buffer), op.nop()], {
      signal: AbortSignal.timeout(5),
    })
    assert.equal(statuses(timed), ['AbortError', 'AbortError'])
    await assert.rejects(
      uring.chain((op) => [op.nop()], { signal: AbortSignal.abort() }),
      { code: 'ABORT_ERR' },
    )
    await assert.rejects(
      uring.chain((op) => [op.nop(), op.nop({ signal: AbortSignal.abort() })]),
      { code: 'ABORT_ERR' },
    )
    // One member's own signal.
    const controller = new AbortController()
    const running = uring.chain((op) => [op.read(readEnd, buffer, { signal: controller.signal }), op.nop()])
    await turns(2)
    controller.abort()
    assert.equal(statuses(await running), ['AbortError', 'ECANCELED'])
    assert.is(uring.driver.inFlight, 0)
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'chains as long as the submission queue are never torn apart',
  here(async () => {
    await using uring = openUring({ entries: 8 })
    for (let round = 0; round < 20; round++) {
      // Operations before it leave a different amount of room each time.
      const before = Array.from({ length: round % 8 }, () => uring.nop())
      const outcomes = await uring.chain((op) => [
        op.submit((sqe) => prepClose(sqe, NO_SUCH_FD)),
        ...Array.from({ length: 7 }, () => op.nop()),
      ])
      // Torn apart, the part behind the tear would not be cancelled.
      assert.equal(statuses(outcomes), ['EBADF', ...new Array<string>(7).fill('ECANCELED')])
      await Promise.all(before)
    }
    await assert.rejects(
      uring.chain((op) => Array.from({ length: 9 }, () => op.nop())),
      { code: 'ERR_OUT_OF_RANGE', message: /<= 8.*Received 9/ },
    )
    await assert.rejects(
      uring.chain((op) => Array.from({ length: 5 }, () => op.nop({ timeoutMs: 1 }))),
      { code: 'ERR_OUT_OF_RANGE', message: /Received 10/ },
    )
    await assert.rejects(
      uring.chain(() => []),
      { code: 'ERR_OUT_OF_RANGE' },
    )
  }),
)

test(
  'hundreds of chains at once wait for room and keep their order',
  here(async () => {
    await using uring = openUring({ entries: 8, cqEntries: 16 })
    const path = join(folder, 'many')
    const fd = openSync(path, 'w')
    const all = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        uring.chain((op) => [
          op.write(fd, Buffer.from([index & 255]), { offset: index }),
          op.fdatasync(fd),
          op.nop(),
        ]),
      ),
    )
    assert.ok(all.every((outcomes) => outcomes.every(({ status }) => status === 'fulfilled')))
    assert.equal(
      [...readFileSync(path)],
      Array.from({ length: 300 }, (_, index) => index & 255),
    )
    close(fd)
  }),
)

test(
  'a chain that waits for room can be aborted as a whole',
  here(async () => {
    await using uring = openUring({ entries: 2, cqEntries: 2 })
    const [readEnd, writeEnd] = pipe()
    const controller = new AbortController()
    const blocking = [1, 2].map(() =>
      uring.poll(readEnd, POLLIN, { signal: controller.signal }).catch(() => {}),
    )
    const own = new AbortController()
    const waiting = uring.chain((op) => [op.nop(), op.nop({ signal: own.signal })])
    await turns(1)
    own.abort()
    assert.equal(statuses(await waiting), ['AbortError', 'AbortError'])
    controller.abort()
    await Promise.all(blocking)
    assert.is(uring.driver.inFlight, 0)
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'close() ends chains, also the members of a hard one that have not started',
  here(async () => {
    const uring = openUring()
    const [readEnd, writeEnd] = pipe()
    const polls = (hard: boolean) =>
      uring.chain((op) => [op.poll(readEnd, POLLIN), op.poll(readEnd, POLLIN), op.poll(readEnd, POLLIN)], {
        hard,
      })
    const [soft, hard] = [polls(false), polls(true)]
    await turns(2)
    await uring.close()
    assert.equal(statuses(await soft), ['AbortError', 'AbortError', 'AbortError'])
    assert.equal(statuses(await hard), ['AbortError', 'AbortError', 'AbortError'])
    await assert.rejects(
      uring.chain((op) => [op.nop()]),
      { code: 'EBADF' },
    )
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'mistakes reject before anything is submitted, and leak nothing',
  here(async () => {
    await using uring = openUring()
    const { submitted } = uring.driver.counters
    await assert.rejects(
      uring.chain((op) => [op.unlink('/nonexistent/a'), op.write(1, 'text' as never)]),
      { code: 'ERR_INVALID_ARG_TYPE' },
    )
    await assert.rejects(
      uring.chain((op) => [op.unlink('/nonexistent/a'), op.fdatasync(1.5)]),
      { code: 'ERR_OUT_OF_RANGE' },
    )
    await assert.rejects(
      uring.chain((op) => {
        op.unlink('/nonexistent/a')
        throw new Error('of the caller')
      }),
      { message: 'of the caller' },
    )
    await assert.rejects(
      uring.chain((op) => {
        op.unlink('/nonexistent/a')
        return []
      }),
      { code: 'ERR_INVALID_STATE' },
    )
    await assert.rejects(uring.chain(null as never), { code: 'ERR_INVALID_ARG_TYPE' })
    await assert.rejects(
      uring.chain(() => 1 as never),
      { code: 'ERR_INVALID_ARG_TYPE' },
    )
    await assert.rejects(
      uring.chain((op) => [op.nop()], { hart: true } as never),
      { code: 'ERR_INVALID_ARG_VALUE' },
    )
    let kept: { nop(): Promise<number> } | null = null
    await uring.chain((op) => {
      kept = op
      return [op.nop()]
    })
    assert.throws(() => kept!.nop(), { code: 'ERR_INVALID_STATE' })
    assert.is(uring.driver.counters.submitted, submitted + 1)
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'the members of a chain that is refused reject with it, and need nobody who looks at them',
  here(async () => {
    const uring = openUring({ entries: 4 })
    const unhandled: unknown[] = []
    const note = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', note)
    type Build = Parameters<typeof uring.chain>[0]
    type Chained = Parameters<Build>[0]
    let members: Promise<unknown>[] = []
    const made = (op: Chained, count: number): Promise<unknown>[] => {
      members = Array.from({ length: count }, () => op.nop())
      return members
    }
    const signal = AbortSignal.abort()
    const refused: [expected: string, build: Build][] = [
      ['ERR_OUT_OF_RANGE', (op) => made(op, 5)],
      ['ERR_INVALID_STATE', (op) => made(op, 2).slice(1)],
      ['ERR_INVALID_ARG_TYPE', (op) => made(op, 1) && (1 as never)],
      ['ERR_INVALID_ARG_TYPE', (op) => [...made(op, 1), op.write(1, 'text' as never)]],
      ['ABORT_ERR', (op) => [...made(op, 1), op.nop({ signal })]],
      // Whatever the caller makes of them.
      ['ERR_OUT_OF_RANGE', (op) => made(op, 5).map((member) => member.finally(() => {}))],
    ]
    for (const [expected, build] of refused) {
      const running = uring.chain(build)
      assert.is(await outcome(running), expected)
      for (const member of members) assert.is(await outcome(member), expected)
      // Nobody looks at these.
      await assert.rejects(uring.chain(build), { code: expected })
    }
    assert.is(uring.driver.arena.blocksInUse, 0)
    await uring.close()
    // Refused by the driver itself.
    const running = uring.chain((op) => made(op, 2))
    assert.is(await outcome(running), 'EBADF')
    for (const member of members) assert.is(await outcome(member), 'EBADF')
    await turns(2)
    process.off('unhandledRejection', note)
    assert.equal(unhandled, [])
  }),
)

test(
  'what a member returns, and that nobody looks at it, is its own affair',
  here(async () => {
    await using uring = openUring()
    let own: Promise<number> | null = null
    const outcomes = await uring.chain((op) => {
      own = op.submit((sqe) => prepNop(sqe), { syscall: 'mine' })
      return [own, op.closeFd(-1)]
    })
    assert.is(await own, 0)
    assert.equal(statuses(outcomes), ['ok 0', 'EBADF'])
  }),
)

test(
  'a chain that is aborted while it waits in line leaves nothing to the operations after it',
  needs({ ring: true }, async () => {
    await using uring = openUring({ entries: 4, cqEntries: 4 })
    // The completion queue is spoken for: what follows waits.
    const fill = (): void => {
      for (let count = 0; count < 4; count++) uring.timeout(20).catch(() => {})
    }
    fill()
    const first = new AbortController()
    const aborted = uring.chain((op) => [op.nop(), op.nop(), op.nop()] as const, { signal: first.signal })
    first.abort()
    const other = uring.chain((op) => [op.nop(), op.timeout(30)] as const)
    assert.equal(statuses(await aborted), ['AbortError', 'AbortError', 'AbortError'])
    assert.equal(
      (await other).map(({ status }) => status),
      ['fulfilled', 'fulfilled'],
    )
    fill()
    const second = new AbortController()
    const again = uring.chain((op) => [op.nop(), op.nop(), op.nop()] as const, { signal: second.signal })
    second.abort()
    await assert.rejects(uring.timeout(10_000, { timeoutMs: 10 }), { code: 'ETIMEDOUT' })
    await again
  }),
)

test.run()
