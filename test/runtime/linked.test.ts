// Driver.submitLinked: several operations, one completion.

import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  AT_FDCWD,
  addressOf,
  IORING_REGISTER_FILES,
  IORING_REGISTER_USE_REGISTERED_RING,
  IOSQE_FIXED_FILE,
  kernelCalls,
  prepCloseDirect,
  prepNop,
  prepNopResult,
  prepOpenatDirect,
  prepWrite,
  registerFilesSparse,
  type Sqe,
} from '../../src/ring/index.js'
import { close } from '../../src/syscalls/libc.js'
import { assert, needs, test } from '../harness.js'
import { TestRing, temporaryFolder, withCalls } from './fixture.js'
import { openUring } from './open-uring.js'

const here = needs.bind(null, { linux: '5.17', feature: 'IORING_FEAT_CQE_SKIP' } as const)
const folder = temporaryFolder()

/** Issues the entries that `steps` prepare, linked; resolves to what each CQE said. */
function linked(
  uring: ReturnType<typeof openUring>,
  steps: readonly ((sqe: Sqe) => unknown)[],
): Promise<number> {
  return new Promise((resolve, reject) => {
    const issued = uring.driver.submitLinked(
      steps.length,
      (sqe, index) => {
        steps[index]!(sqe)
      },
      resolve,
      'nop',
    )
    if (!issued) reject(new Error('no room'))
  })
}

test(
  'submitLinked() opens, writes and closes by one completion',
  here(async () => {
    await using uring = openUring()
    registerFilesSparse(uring.driver.ring, 1)
    const path = join(folder, 'linked')
    const name = Buffer.from(`${path}\0`)
    const data = Buffer.from('in one go')
    const O_CREAT_WRONLY = 0o101
    const res = await linked(uring, [
      (sqe) => prepOpenatDirect(sqe, AT_FDCWD, addressOf(name), O_CREAT_WRONLY, 0o600, 0),
      (sqe) => prepWrite(sqe, 0, addressOf(data), data.length, 0).addFlags(IOSQE_FIXED_FILE),
      (sqe) => prepCloseDirect(sqe, 0),
    ])
    assert.is(res, 0)
    assert.is(readFileSync(path, 'utf8'), 'in one go')
    const { submitted, completed } = uring.driver.counters
    assert.equal([submitted, completed], [1, 1], 'it counts as one')
  }),
)

test(
  'submitLinked() reports the first that fails, and only that',
  needs({ linux: '6.10', feature: 'IORING_FEAT_CQE_SKIP' }, async () => {
    await using uring = openUring()
    const path = join(folder, 'untouched')
    writeFileSync(path, 'as it was')
    const fd = openSync(path, 'r+')
    const data = Buffer.from('never written')
    const res = await linked(uring, [
      (sqe) => prepNop(sqe),
      (sqe) => prepNopResult(sqe, -28),
      (sqe) => prepWrite(sqe, fd, addressOf(data), data.length, 0),
    ])
    assert.is(res, -28)
    assert.is(readFileSync(path, 'utf8'), 'as it was')
    // The completion queue is in step: what follows is answered as usual.
    assert.is(await linked(uring, [(sqe) => prepNop(sqe)]), 0)
    close(fd)
  }),
)

test(
  'submitLinked() does not keep a ring from closing at once',
  here(async () => {
    const registrations: number[] = []
    const calls = withCalls({
      register(fd, opcode, arg, count) {
        registrations.push(opcode & ~IORING_REGISTER_USE_REGISTERED_RING)
        return kernelCalls.register(fd, opcode, arg, count)
      },
    })
    const uring = new TestRing({}, calls)
    for (let round = 0; round < 20; round++) {
      await Promise.all([1, 2, 3].map(() => linked(uring, [prepNop, prepNop, prepNop, prepNop])))
    }
    await uring.close()
    // A ring that seems to be busy is waited for, with a pipe among its files.
    assert.not(registrations.includes(IORING_REGISTER_FILES), `${registrations}`)
  }),
)

test(
  'submitLinked() issues nothing when there is no room, and throws on a closed ring',
  here(async () => {
    const uring = openUring({ entries: 4, cqEntries: 4 })
    let done = 0
    const onCqe = (): void => {
      done++
    }
    assert.is(uring.driver.submitLinked(5, prepNop, onCqe, 'nop'), false)
    assert.is(uring.driver.submitLinked(4, prepNop, onCqe, 'nop'), true)
    await uring.close()
    assert.is(done, 1)
    assert.throws(() => uring.driver.submitLinked(1, prepNop, onCqe, 'nop'), { code: 'EBADF' })
  }),
)

test.run()
