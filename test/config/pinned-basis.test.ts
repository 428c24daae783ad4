// Pinned windows on a real mapped file, seen through /proc/self/smaps; refusals through the two-call seam.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  buildRing,
  type LockCalls,
  MAX_PINNED_WINDOW_BYTES,
  type PinnedWindow,
  type PinOutcome,
  pinStatistics,
  pinWindow,
} from '../../src/config/index.js'
import { resetProcessPolicyForTests } from '../../src/config/process-policy.js'
import { MAP_SHARED, PROT_READ } from '../../src/syscalls/abi/index.js'
import { SystemError } from '../../src/syscalls/errno.js'
import { MappedRegion } from '../../src/syscalls/memory.js'
import { assert, needs, test } from '../harness.js'
import { EAGAIN, ENOMEM, EPERM } from './fake-machine.js'

const KIB = 1024
const PAGE = 4096

/** A read-only shared mapping of a file of `length` bytes. */
function withMapping(length: number, body: (region: MappedRegion) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'uring-pin-'))
  try {
    const path = join(folder, 'basis')
    writeFileSync(path, Buffer.alloc(length, 1))
    const fd = openSync(path, 'r')
    const region = MappedRegion.ofFile(fd, length, 0, { prot: PROT_READ, flags: MAP_SHARED })
    closeSync(fd)
    try {
      body(region)
    } finally {
      region.unmap()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** KiB locked between the addresses, by the kernel's own account. The kernel splits areas where locking begins or ends. */
function lockedKib({ address, length }: { address: number; length: number }): number {
  let locked = 0
  let inside = false
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const area = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)
    if (area)
      inside =
        Number.parseInt(area[1]!, 16) >= address && Number.parseInt(area[2]!, 16) <= address + roundUp(length)
    const field = /^Locked: +(\d+) kB/.exec(line)
    if (field && inside) locked += Number(field[1])
  }
  return locked
}

const roundUp = (length: number): number => Math.ceil(length / PAGE) * PAGE

function window(outcome: PinOutcome): PinnedWindow {
  if (!outcome.pinned) throw new Error(`not pinned: ${outcome.reason}`)
  return outcome.window
}

/** Locks that never reach the kernel: what was asked is recorded, what is answered is given. */
function fakeLocks(
  answers: number[] = [],
  munlockAnswer = 0,
): LockCalls & { readonly asked: (string | number)[][] } {
  const asked: (string | number)[][] = []
  return {
    asked,
    mlock(address, length) {
      asked.push(['mlock', address, length])
      return answers.shift() ?? 0
    },
    munlock(address, length) {
      asked.push(['munlock', address, length])
      return munlockAnswer
    },
  }
}

const BASE = 0x7f00_0000_0000
const region = { address: BASE, length: 64 * PAGE, mapped: true }

const canLock = {
  when: (): true | string => {
    const memory = MappedRegion.anonymous(256 * KIB)
    const refused = memory.lock() < 0
    memory.unmap()
    return refused ? 'RLIMIT_MEMLOCK allows no 256 KiB' : true
  },
}

test(
  'pinWindow() pins whole pages until the window is released',
  needs(canLock, () => {
    resetProcessPolicyForTests()
    withMapping(256 * KIB, (mapping) => {
      const first = window(pinWindow(mapping, 10, 100 * KIB))
      assert.is(first.address, mapping.address)
      assert.is(first.length, 104 * KIB, 'whole pages, outward')
      assert.is(lockedKib(mapping), 104)
      const second = window(pinWindow(mapping, 64 * KIB, 128 * KIB))
      assert.is(lockedKib(mapping), 192)
      first.release()
      assert.is(lockedKib(mapping), 128, 'what the second window shares stays pinned')
      first.release()
      second.release()
      assert.is(lockedKib(mapping), 0)
    })
    assert.equal(pinStatistics(), { attempts: 2, downgrades: 0, off: false })
  }),
)

test(
  'pinWindow() pins the page that a file ends in',
  needs(canLock, () => {
    resetProcessPolicyForTests()
    withMapping(5 * KIB, (mapping) => {
      const pinned = window(pinWindow(mapping, 4 * KIB, KIB))
      assert.is(pinned.length, PAGE)
      pinned.release()
    })
  }),
)

test('pinWindow() takes windows of 1 to 4194304 bytes inside the region, and no others', () => {
  resetProcessPolicyForTests()
  const large = { ...region, length: 2 * MAX_PINNED_WINDOW_BYTES }
  const locks = fakeLocks()
  const whole = window(pinWindow(large, 1, MAX_PINNED_WINDOW_BYTES, locks))
  assert.is(whole.length, MAX_PINNED_WINDOW_BYTES + PAGE)
  whole.release()
  assert.is(MAX_PINNED_WINDOW_BYTES, 4194304)
  for (const [offset, length] of [
    [0, MAX_PINNED_WINDOW_BYTES + 1],
    [0, 0],
    [-1, 10],
    [large.length, 1],
    [large.length - 10, 11],
    [0, 1.5],
  ] as const) {
    assert.throws(
      () => pinWindow(large, offset, length, locks),
      (error: Error & { code: string }) => error.code === 'ERR_OUT_OF_RANGE',
      `${offset}, ${length}`,
    )
  }
  assert.is(locks.asked.length, 2, 'a bad window reaches nobody')
  assert.is(pinStatistics().attempts, 1)
})

test('release() unpins only what no other window holds, whatever the overlap', () => {
  // Every pair of windows over four pages, and a third that stays: the pages unpinned are those of no live window.
  const spans: [number, number][] = []
  for (let start = 0; start < 4; start++) for (let end = start + 1; end <= 4; end++) spans.push([start, end])
  for (const first of spans)
    for (const second of spans)
      for (const third of spans) {
        resetProcessPolicyForTests()
        const pinned = new Set<number>()
        const locks: LockCalls = {
          mlock(address, length) {
            for (let page = 0; page < length / PAGE; page++) pinned.add((address - BASE) / PAGE + page)
            return 0
          },
          munlock(address, length) {
            for (let page = 0; page < length / PAGE; page++) {
              assert.ok(pinned.delete((address - BASE) / PAGE + page), 'unpinned once')
            }
            return 0
          },
        }
        const open = [first, second, third].map(([start, end]) => ({
          start,
          end,
          held: window(pinWindow(region, start * PAGE, (end - start) * PAGE, locks)),
        }))
        while (open.length > 0) {
          open.shift()!.held.release()
          const wanted = new Set<number>()
          for (const { start, end } of open) for (let page = start; page < end; page++) wanted.add(page)
          assert.equal([...pinned].sort(), [...wanted].sort())
        }
      }
})

for (const [errno, code] of [
  [EAGAIN, 'EAGAIN'],
  [EPERM, 'EPERM'],
  [ENOMEM, 'ENOMEM'],
] as const) {
  test(`pinWindow() answers ${code} with a downgrade, and leaves no page pinned`, () => {
    resetProcessPolicyForTests()
    const locks = fakeLocks([errno])
    assert.equal(pinWindow(region, 0, PAGE, locks), { pinned: false, reason: 'downgraded', errno, code })
    assert.equal(locks.asked, [
      ['mlock', BASE, PAGE],
      ['munlock', BASE, PAGE],
    ])
    assert.equal(pinStatistics(), { attempts: 1, downgrades: 1, off: true })
  })
}

test('pinWindow() leaves pinned what another window holds when it is refused', () => {
  resetProcessPolicyForTests()
  const locks = fakeLocks([0, ENOMEM])
  const held = window(pinWindow(region, 0, 2 * PAGE, locks))
  assert.not(pinWindow(region, PAGE, 2 * PAGE, locks).pinned)
  assert.equal(locks.asked.at(-1), ['munlock', BASE + 2 * PAGE, PAGE])
  held.release()
  assert.equal(locks.asked.at(-1), ['munlock', BASE, 2 * PAGE])
})

test('pinWindow() throws any other errno of mlock', () => {
  resetProcessPolicyForTests()
  assert.throws(
    () => pinWindow(region, 0, PAGE, fakeLocks([-22])),
    (error: Error) => error instanceof SystemError && error.code === 'EINVAL' && error.syscall === 'mlock',
  )
  assert.is(pinStatistics().downgrades, 0, 'a failure is no downgrade')
})

test('pinWindow() is off once one attempt in twenty was refused, and never before', () => {
  resetProcessPolicyForTests()
  const locks = fakeLocks(Array.from({ length: 20 }, () => 0).concat(ENOMEM, ENOMEM))
  for (let attempt = 0; attempt < 20; attempt++) window(pinWindow(region, 0, PAGE, locks)).release()
  assert.is(pinWindow(region, 0, PAGE, locks).pinned, false)
  assert.not(pinStatistics().off, '1 of 21')
  assert.is(pinWindow(region, 0, PAGE, locks).pinned, false)
  assert.ok(pinStatistics().off, '2 of 22')
  const asked = locks.asked.length
  assert.equal(pinWindow(region, 0, PAGE, locks), { pinned: false, reason: 'off' })
  assert.is(locks.asked.length, asked, 'not even tried')
  assert.is(pinStatistics().attempts, 22)
})

test(
  'buildRing() refuses SQPOLL beside a mapped basis again once pinning is off',
  needs({ ring: true }, () => {
    resetProcessPolicyForTests()
    pinWindow(region, 0, PAGE, fakeLocks([EPERM]))
    const { ring, report } = buildRing({ sqpoll: true, mmapBasisActive: true, pinMmapBasis: true })
    ring.close()
    assert.is(report.sqpoll.reason, 'mmap-basis-active')
    resetProcessPolicyForTests()
  }),
)

test('release() throws when munlock fails, and counts as done', () => {
  resetProcessPolicyForTests()
  const held = window(pinWindow(region, 0, PAGE, fakeLocks([], ENOMEM)))
  assert.throws(
    () => held.release(),
    (error: Error) => error instanceof SystemError && error.syscall === 'munlock',
  )
  held.release()
})

test('release() leaves an unmapped region alone, and pinWindow() refuses one', () => {
  resetProcessPolicyForTests()
  const locks = fakeLocks()
  const closing = { ...region, mapped: true }
  {
    using held = window(pinWindow(closing, 0, PAGE, locks))
    closing.mapped = false
    assert.is(held.length, PAGE)
  }
  assert.is(locks.asked.length, 1)
  assert.throws(
    () => pinWindow(closing, 0, PAGE, locks),
    (error: Error & { code: string }) => error.code === 'ERR_INVALID_STATE',
  )
})

test('a window of an unmapped region does not keep pinned what was mapped at the same place since', () => {
  resetProcessPolicyForTests()
  const locks = fakeLocks()
  const gone = { ...region, mapped: true }
  using late = window(pinWindow(gone, 0, PAGE, locks))
  gone.mapped = false
  window(pinWindow(region, 0, 2 * PAGE, locks)).release()
  assert.equal(locks.asked.at(-1), ['munlock', BASE, 2 * PAGE])
  assert.is(late.length, PAGE)
})

test.run()
