// The same small life of a ring on every kind of ring that setup flags make. IOPOLL rings: iopoll.test.ts; SQ_REWIND
// and SQE_MIXED: rewind.test.ts and wraparound.test.ts.

import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepNop, prepNopResult } from '../../src/ring/prep/nop.js'
import { prepPollMultishot } from '../../src/ring/prep/poll.js'
import { prepRead, prepWrite } from '../../src/ring/prep/read-write.js'
import { Ring } from '../../src/ring/ring.js'
import type { RingOptions } from '../../src/ring/setup.js'
import * as abi from '../../src/syscalls/abi/index.js'
import { close, read, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { assert, kernelIsAtLeast, needs, type Requirements, test } from '../harness.js'
import {
  complete,
  nextSqe,
  openPipe,
  queueNops,
  range,
  ringDescriptors,
  ringMappings,
  without,
} from './drive.js'

/** A life: laps of NOPs, a file written and read back, a pipe that is waited for, a multishot, a wait that runs out. */
function liveOn(ring: Ring): void {
  const { sqEntries } = ring
  for (const first of range(1, 5).map((lap) => lap * 1000)) {
    const expected = range(first, first + Math.min(sqEntries, 100) - 1)
    queueNops(ring, ...expected)
    const seen = complete(ring, expected.length)
    assert.equal([...seen.keys()].sort(), expected.sort())
    assert.ok([...seen.values()].every((res) => res === 0))
  }

  const folder = mkdtempSync(join(tmpdir(), 'uring-'))
  const file = openSync(join(folder, 'file'), 'w+')
  const text = Buffer.from(new ArrayBuffer(5000)).fill('what is written is read back. ')
  const back = Buffer.from(new ArrayBuffer(5000))
  prepWrite(nextSqe(ring), file, addressOf(text), 5000, 0).setUserData(1)
  assert.equal([...complete(ring, 1)], [[1, 5000]])
  prepRead(nextSqe(ring), file, addressOf(back), 5000, 0).setUserData(2)
  assert.equal([...complete(ring, 1)], [[2, 5000]])
  assert.equal(back, text)
  close(file)
  rmSync(folder, { recursive: true })

  const { readEnd, writeEnd } = openPipe()
  const POLLIN = 1
  prepPollMultishot(nextSqe(ring), readEnd, POLLIN).setUserData(3)
  assert.is(ring.submitAndWait(1, 5), 1)
  assert.is(ring.cqReady, 0)
  for (let shot = 0; shot < 3; shot++) {
    assert.is(write(writeEnd, addressOf(text), 10), 10)
    let flags = 0
    ring.submitAndWait(1, 2000)
    const count = ring.forEachCqe((low, high, res, cqeFlags) => {
      assert.equal([low, high, res], [3, 0, POLLIN])
      flags = cqeFlags
    })
    assert.equal([count, flags & abi.IORING_CQE_F_MORE], [1, abi.IORING_CQE_F_MORE])
    assert.is(read(readEnd, addressOf(back), 10), 10)
  }
  prepRead(nextSqe(ring), readEnd, addressOf(back), 10, 0).setUserData(4)
  ring.submit()
  ring.close()
  close(readEnd)
  close(writeEnd)
  assert.equal([ringDescriptors(), ringMappings()], [[], []])
}

const defer = abi.IORING_SETUP_SINGLE_ISSUER | abi.IORING_SETUP_DEFER_TASKRUN
const ownMemory = abi.IORING_SETUP_NO_MMAP

const VARIANTS: readonly (readonly [string, RingOptions, Requirements?, UringCalls?])[] = [
  ['plain', { entries: 8 }],
  ['one entry', { entries: 1 }],
  ['two mappings', { entries: 8 }, {}, without(abi.IORING_FEAT_SINGLE_MMAP)],
  ['CQE32', { entries: 8, flags: abi.IORING_SETUP_CQE32 }],
  ['CQE_MIXED', { entries: 8, flags: abi.IORING_SETUP_CQE_MIXED }],
  ['SQE128', { entries: 8, flags: abi.IORING_SETUP_SQE128 }],
  ['NO_SQARRAY', { entries: 8, flags: abi.IORING_SETUP_NO_SQARRAY }],
  ['DEFER_TASKRUN', { entries: 8, flags: defer }],
  ['DEFER_TASKRUN, flagged', { entries: 8, flags: defer | abi.IORING_SETUP_TASKRUN_FLAG }],
  [
    'COOP_TASKRUN, flagged',
    { entries: 8, flags: abi.IORING_SETUP_COOP_TASKRUN | abi.IORING_SETUP_TASKRUN_FLAG },
  ],
  ['SUBMIT_ALL', { entries: 8, flags: abi.IORING_SETUP_SUBMIT_ALL }],
  ['CQSIZE', { entries: 8, cqEntries: 100 }],
  ['NO_MMAP', { entries: 8, flags: ownMemory }],
  ['NO_MMAP, large', { entries: 4096, flags: ownMemory }, { linux: '6.10' }],
  ['NO_MMAP with CQE32, SQE128', { entries: 64, flags: ownMemory | 0xc00 }, { linux: '6.10' }],
  ['REGISTERED_FD_ONLY', { entries: 8, flags: ownMemory | abi.IORING_SETUP_REGISTERED_FD_ONLY }],
  ['SQPOLL', { entries: 8, flags: abi.IORING_SETUP_SQPOLL }],
  ['SQPOLL, bound', { entries: 8, flags: abi.IORING_SETUP_SQPOLL, sqThreadCpu: 0, sqThreadIdleMs: 5 }],
  ['no EXT_ARG', { entries: 8 }, {}, without(abi.IORING_FEAT_EXT_ARG)],
  ['DEFER_TASKRUN, no EXT_ARG', { entries: 8, flags: defer }, {}, without(abi.IORING_FEAT_EXT_ARG)],
]

for (const [name, options, requirements = {}, calls = kernelCalls] of VARIANTS) {
  test(
    `a ring lives: ${name}`,
    // Each life ends with a poll that fires more than once.
    needs({ linux: '5.13', setup: options.flags ?? 0, ...requirements }, () => {
      const ring = Ring.open(options, calls)
      assert.is(ring.sqEntries, options.entries)
      assert.is(ring.cqEntries, options.cqEntries === undefined ? 2 * options.entries : 128)
      assert.is(ring.flags & (options.flags ?? 0), options.flags ?? 0)
      liveOn(ring)
    }),
  )
}

test(
  'a ring lives: CLAMP cuts what is too many',
  needs({ setup: 'IORING_SETUP_CLAMP' }, () => {
    const flags = abi.IORING_SETUP_CLAMP
    const ring = Ring.open({ entries: 40_000, flags })
    assert.equal([ring.sqEntries, ring.cqEntries], [32_768, 65_536])
    liveOn(ring)
    // Before that, a ring in memory of the program must be contiguous.
    if (!kernelIsAtLeast('6.10')) return
    const own = Ring.open({ entries: 2 ** 31, cqEntries: 2 ** 32 - 1, flags: flags | ownMemory })
    assert.equal([own.sqEntries, own.cqEntries], [32_768, 65_536])
    liveOn(own)
  }),
)

test(
  'a ring lives: ATTACH_WQ, on a ring that closes first',
  needs({ linux: '5.6' }, () => {
    const first = Ring.open({ entries: 8 })
    const second = Ring.open({ entries: 8, attachTo: first.fd })
    assert.ok(second.flags & abi.IORING_SETUP_ATTACH_WQ)
    first.close()
    liveOn(second)
  }),
)

test(
  'a ring without a descriptor cannot be attached to',
  needs({ setup: ['IORING_SETUP_NO_MMAP', 'IORING_SETUP_REGISTERED_FD_ONLY'] }, () => {
    using hidden = Ring.open({ entries: 8, flags: ownMemory | abi.IORING_SETUP_REGISTERED_FD_ONLY })
    assert.throws(() => Ring.open({ entries: 8, attachTo: hidden }), {
      code: 'ERR_INVALID_STATE',
      message: /attachTo.*REGISTERED_FD_ONLY/,
    })
  }),
)

for (const [name, flags, setup] of [
  ['R_DISABLED', 0, []],
  ['R_DISABLED with DEFER_TASKRUN', defer, ['IORING_SETUP_SINGLE_ISSUER', 'IORING_SETUP_DEFER_TASKRUN']],
] as const) {
  test(
    `a ring lives: ${name}, once enabled`,
    needs({ setup: ['IORING_SETUP_R_DISABLED', ...setup] }, () => {
      const ring = Ring.open({ entries: 8, flags: abi.IORING_SETUP_R_DISABLED | flags })
      ring.enable()
      liveOn(ring)
    }),
  )
}

/** A NOP whose CQE carries two extra 64-bit values, on rings that have room for them. */
function queueBigNop(ring: Ring, userData: number, flags = abi.IORING_NOP_CQE32): void {
  const { words } = prepNopResult(nextSqe(ring), -userData, flags | abi.IORING_NOP_INJECT_RESULT)
  words.set([userData, 0], 8)
  words.set([userData, 0x1111_1111, 0x2222_2222, userData], 2)
}

test(
  'CQE_MIXED: completions of 16 and of 32 bytes, across many wraps',
  needs({ setup: 'IORING_SETUP_CQE_MIXED' }, () => {
    const ring = Ring.open({ entries: 8, cqEntries: 8, flags: abi.IORING_SETUP_CQE_MIXED })
    let userData = 0
    for (let lap = 0; lap < 100; lap++) {
      const expected: number[] = []
      // Three slots, or with a filler four, or five: no two laps wrap alike.
      for (let count = 0; count <= lap % 3; count++) {
        expected.push(++userData)
        if (userData % 2 === 0) queueBigNop(ring, userData)
        else prepNop(nextSqe(ring)).setUserData(userData)
      }
      ring.submit()
      const seen: number[] = []
      ring.forEachBigCqe((low, _high, res, flags, ...extra) => {
        seen.push(low)
        const isBig = (flags & abi.IORING_CQE_F_32) !== 0
        assert.is(isBig, low % 2 === 0)
        assert.is(res, isBig ? -low : 0)
        assert.equal(extra, isBig ? [low, 0x1111_1111, 0x2222_2222, low] : [0, 0, 0, 0])
      })
      assert.equal(seen, expected)
    }
    ring.close()
  }),
)

test(
  'CQE_MIXED: forEachCqe() sees the first half of big completions',
  needs({ setup: 'IORING_SETUP_CQE_MIXED' }, () => {
    const ring = Ring.open({ entries: 8, flags: abi.IORING_SETUP_CQE_MIXED })
    for (let lap = 0; lap < 20; lap++) {
      queueBigNop(ring, 1)
      queueNops(ring, 2)
      queueBigNop(ring, 3)
      ring.submit()
      const seen: number[][] = []
      assert.is(
        ring.forEachCqe((low, _high, res) => seen.push([low, res])),
        3,
      )
      const expected = [
        [1, -1],
        [2, 0],
        [3, -3],
      ]
      assert.equal(seen, expected)
    }
    ring.close()
  }),
)

test(
  'CQE32: the second half is handed out, and is zeros on a ring of 16-byte completions',
  needs({ setup: 'IORING_SETUP_CQE_MIXED' }, () => {
    for (const [flags, nopFlags, extra] of [
      [0, 0, [0, 0, 0, 0]],
      [abi.IORING_SETUP_CQE32, abi.IORING_NOP_CQE32, [5, 0x1111_1111, 0x2222_2222, 5]],
    ] as const) {
      const ring = Ring.open({ entries: 4, flags })
      for (let lap = 0; lap < 5; lap++) {
        queueBigNop(ring, 5, nopFlags)
        queueNops(ring, 6)
        ring.submit()
        const seen: number[][] = []
        assert.is(
          ring.forEachBigCqe((...words) => seen.push(words)),
          2,
        )
        assert.equal(seen[0]!.filter((_, index) => index !== 3).slice(0, 3), [5, 0, -5])
        assert.equal(seen[0]!.slice(4), [...extra])
        assert.equal(seen[1]!.slice(0, 3), [6, 0, 0])
      }
      ring.close()
    }
  }),
)

test(
  'SQE128: getSqe128() and getSqe() both hand out 128 bytes',
  needs({ setup: 'IORING_SETUP_SQE128' }, () => {
    const ring = Ring.open({ entries: 4, flags: abi.IORING_SETUP_SQE128 })
    const [first, second] = [ring.getSqe(), ring.getSqe128()]
    assert.equal([first?.words.length, second?.words.length], [32, 32])
    ring.close()
    const narrow = Ring.open({ entries: 4 })
    assert.is(narrow.getSqe128(), null)
    assert.is(narrow.sqPending, 0)
    narrow.close()
  }),
)

test.run()
