// A ring that nobody closed: it is closed when it is collected, with a warning, and what it held lives until then.

import { prepRead } from '../../src/ring/prep/read-write.js'
import { Ring } from '../../src/ring/ring.js'
import type { RingOptions } from '../../src/ring/setup.js'
import {
  IORING_REGISTER_FILES,
  IORING_REGISTER_SYNC_CANCEL,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_SETUP_SQPOLL,
} from '../../src/syscalls/abi/index.js'
import { close, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { kernelCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import { firstCensus, nextSqe, openPipe, queueNops, ringDescriptors, sameAs, spied } from './drive.js'
import '../settled.js'
import { collectGarbage } from '../garbage.js'

const own = IORING_SETUP_NO_MMAP

/** Opens a ring and forgets it. In a function of its own, so that no register keeps it. */
function abandon(options: Partial<RingOptions>, register: boolean): void {
  const ring = Ring.open({ entries: 4, ...options })
  if (register) ring.registerRingFd()
  queueNops(ring, 1)
  ring.submit()
}

for (const [name, options, register] of [
  ['plain', {}, false],
  ['registered with its thread', {}, true],
  ['NO_MMAP', { flags: own }, false],
  ['REGISTERED_FD_ONLY', { flags: own | IORING_SETUP_REGISTERED_FD_ONLY }, false],
  ['SQPOLL', { flags: IORING_SETUP_SQPOLL }, false],
] as const) {
  test(
    `a ring that is collected unclosed is closed with a warning: ${name}`,
    needs({ setup: 'flags' in options ? options.flags : 0 }, async () => {
      const before = firstCensus()
      const warnings: Error[] = []
      const note = (warning: Error): void => {
        if (warning.name === 'RingLeak') warnings.push(warning)
      }
      process.on('warning', note)
      abandon(options, register)
      for (let round = 0; round < 50 && warnings.length === 0; round++) {
        collectGarbage()
        await new Promise((settle) => setTimeout(settle, 5))
      }
      process.off('warning', note)
      assert.is(warnings.length, 1)
      assert.match(warnings[0]!.message, /call ring\.close\(\)/)
      sameAs(before)
    }),
  )
}

test(
  'memory that a collected ring held lives until the kernel has let go of it',
  needs({ ring: true }, async () => {
    const { readEnd, writeEnd } = openPipe()
    let memory: WeakRef<Uint8Array> | undefined
    const opcodes: number[] = []
    const calls = spied({
      register(fd, opcode, arg, count) {
        opcodes.push(opcode)
        return kernelCalls.register(fd, opcode, arg, count)
      },
    })
    const openAndForget = (): void => {
      const ring = Ring.open({ entries: 4 }, calls)
      const bytes = new Uint8Array(new ArrayBuffer(1 << 16))
      memory = new WeakRef(bytes)
      ring.hold('bytes', bytes)
      prepRead(nextSqe(ring), readEnd, addressOf(bytes), bytes.length, 0)
      ring.submit()
    }
    let aliveAtWarning: boolean | undefined
    // The warning is emitted in a later tick; the descriptor tells whether the ring still is.
    openAndForget()
    for (let round = 0; round < 50 && ringDescriptors().length > 0; round++) {
      collectGarbage()
      if (ringDescriptors().length > 0) aliveAtWarning = memory?.deref() !== undefined
      await new Promise((settle) => setTimeout(settle, 5))
    }
    assert.is(aliveAtWarning, true)
    assert.is(ringDescriptors().length, 0)
    // It was cancelled, and waited for.
    assert.ok(opcodes.includes(IORING_REGISTER_SYNC_CANCEL))
    assert.ok(opcodes.includes(IORING_REGISTER_FILES))
    assert.is(write(writeEnd, addressOf(Buffer.from('late')), 4), 4)
    close(readEnd)
    close(writeEnd)
  }),
)

test.run()
