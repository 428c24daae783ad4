// Refusals at the worst moment, and how often what asks to be repeated is repeated.

import { open, readFile, writeFile } from '../../src/fs/index.js'
import {
  IORING_ENTER_GETEVENTS,
  IORING_ENTER_SQ_WAKEUP,
  IORING_SETUP_SQPOLL,
  IORING_SQ_NEED_WAKEUP,
  kernelCalls,
} from '../../src/ring/index.js'
import { openedDefaultUring } from '../../src/runtime/default-uring.js'
import { scratch } from '../fs/scratch.js'
import { assert, needs, test } from '../harness.js'
import { KINDS, outcome, TestRing, turns, until, withCalls } from '../runtime/fixture.js'
import { FaultyKernel, NO_FAULTS, type Rates } from './faulty-kernel.js'
import { Random } from './random.js'

const EINTR = -4
const EBUSY = -16
/** More than the ring repeats by itself. */
const MANY = 50

test(
  'a wakeup of the SQPOLL thread that was refused is made up for, though completions came meanwhile',
  needs({ setup: 'IORING_SETUP_SQPOLL', linux: '5.11' }, async () => {
    let refusals = 0
    const calls = withCalls({
      enter(fd, toSubmit, least, flags, arg, argBytes) {
        if (flags & IORING_ENTER_SQ_WAKEUP && refusals > 0) {
          refusals--
          return EINTR
        }
        return kernelCalls.enter(fd, toSubmit, least, flags, arg, argBytes)
      },
    })
    const uring = new TestRing({ flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 1 }, calls)
    const { ring } = uring.driver
    const first = uring.nop()
    ring.submit()
    const deadline = performance.now() + 5000
    // The event loop does not turn here: the completion is there, the thread sleeps, nobody has looked.
    while (ring.cqReady === 0 || (ring.sqFlags & IORING_SQ_NEED_WAKEUP) === 0) {
      assert.ok(performance.now() < deadline, 'the SQPOLL thread does not fall asleep')
    }
    refusals = MANY
    const second = uring.nop()
    assert.equal(await Promise.all([first, second]), [0, 0])
    assert.is(refusals, 0)
    await uring.close()
  }),
)

test(
  'a ring whose held-back completions the kernel refuses to post goes on',
  needs({ ring: true }, async () => {
    let refusals = 0
    let refused = 0
    const kernel = new FaultyKernel(new Random(1), { ...NO_FAULTS, delay: 1, deferTask: 1 })
    const uring = new TestRing(
      { flags: KINDS['flagged']! },
      {
        setup: (entries, params) => kernel.setup(entries, params),
        register: (...args) => kernel.register(...args),
        enter(fd, toSubmit, least, flags, arg, argBytes) {
          if (flags & IORING_ENTER_GETEVENTS && refusals > 0) {
            refusals--
            refused++
            return EBUSY
          }
          return kernel.enter(fd, toSubmit, least, flags, arg, argBytes)
        },
      },
    )
    // How often a round meets a refusal is the event loop's timing.
    for (let round = 0; refused <= MANY && round < 1000; round++) {
      const held = uring.nop()
      await turns(2)
      refusals = MANY
      assert.equal(await Promise.all([held, uring.nop()]), [0, 0])
    }
    assert.ok(refused > MANY, `refused ${refused} times only`)
    assert.is(uring.driver.closed, false)
    await uring.close()
    kernel.dispose()
  }),
)

/** Runs `body` with uring/fs on a kernel with these faults. */
async function onFaultyFs(
  rates: Partial<Rates>,
  body: (kernel: FaultyKernel) => Promise<void>,
): Promise<void> {
  await openedDefaultUring()?.close()
  const kernel = new FaultyKernel(new Random(7), { ...NO_FAULTS, ...rates }, 'transient')
  const restore = kernel.install()
  try {
    await body(kernel)
    await openedDefaultUring()?.close()
  } finally {
    restore()
    kernel.dispose()
  }
}

test(
  'an operation of uring/fs that is interrupted without end is tried 17 times',
  needs({ linux: '6.0' }, async () => {
    const path = scratch('interrupted')
    await writeFile(path, 'some bytes')
    await onFaultyFs({ fail: 1 }, async (kernel) => {
      const code = await outcome(readFile(path))
      assert.ok(code === 'EINTR' || code === 'EAGAIN', String(code))
      assert.is(kernel.injected['fail'], 17)
    })
  }),
)

test(
  'a close that is interrupted is never repeated: the number may be another file’s',
  needs({ linux: '6.0' }, async () => {
    const path = scratch('closed')
    await onFaultyFs({}, async (kernel) => {
      await writeFile(path, 'some bytes')
      const handle = await open(path, 'r')
      Object.assign(kernel.rates, { fail: 1 })
      await handle.close()
      assert.is(kernel.injected['fail'], 1)
      Object.assign(kernel.rates, { fail: 0 })
      assert.is(await readFile(path, 'utf8'), 'some bytes')
      await until(() => openedDefaultUring()!.inFlight === 0)
    })
  }),
)

test.run()
