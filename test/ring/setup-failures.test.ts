// A setup or a resize that fails, at whatever stage, leaves no descriptor, no mapping and no registered ring.

import { openSync } from 'node:fs'
import { Ring } from '../../src/ring/ring.js'
import {
  IO_URING_PARAMS,
  IORING_FEAT_SINGLE_MMAP,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQPOLL,
} from '../../src/syscalls/abi/index.js'
import { systemError } from '../../src/syscalls/errno.js'
import { close, viewMemory } from '../../src/syscalls/libc.js'
import { MappedRegion } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import { firstCensus, sameAs, spied, thrown } from './drive.js'
import '../settled.js'

const own = IORING_SETUP_NO_MMAP

/** Real calls whose setup reports something else than the kernel did. */
function misreporting(change: (params: Struct<keyof typeof IO_URING_PARAMS.fields>) => void): UringCalls {
  return spied({
    setup(entries, address) {
      const fd = kernelCalls.setup(entries, address)
      change(new Struct(IO_URING_PARAMS, new Uint8Array(viewMemory(address, IO_URING_PARAMS.size))))
      return fd
    },
  })
}

/** Has setup return a descriptor that cannot be mapped; the ring closes it. */
function mapsNothing(): UringCalls {
  return spied({
    setup(entries, address) {
      close(kernelCalls.setup(entries, address))
      return openSync('/dev/null', 'r')
    },
  })
}

/** Runs `action` with the nth mapping of memory refused. */
function withoutMapping(nth: number, action: () => void): void {
  const { ofFile, anonymous } = MappedRegion
  let count = 0
  const refuse = (): void => {
    if (++count === nth) throw systemError(-12, 'mmap')
  }
  MappedRegion.ofFile = (...rest) => {
    refuse()
    return ofFile.apply(MappedRegion, rest)
  }
  MappedRegion.anonymous = (...rest) => {
    refuse()
    return anonymous.apply(MappedRegion, rest)
  }
  try {
    action()
  } finally {
    Object.assign(MappedRegion, { ofFile, anonymous })
  }
}

const hideSingleMmap = (): UringCalls =>
  misreporting((params) => params.set('features', params.get('features') & ~IORING_FEAT_SINGLE_MMAP))
const tooLarge = (): UringCalls => misreporting((params) => params.set('cq_off.cqes', 1 << 24))
const refused = (): UringCalls => spied({ setup: () => -12 })

interface Failure {
  readonly name: string
  readonly message: RegExp
  readonly calls?: () => UringCalls
  readonly mapping?: number
  readonly flags?: number
}

const FAILURES: readonly Failure[] = [
  { name: 'setup is refused', calls: refused, message: /^ENOMEM.*io_uring_setup$/ },
  { name: 'setup is refused, own memory', calls: refused, flags: own, message: /^ENOMEM.*io_uring_setup$/ },
  ...[1, 2].map((mapping) => ({ name: `mapping ${mapping} of 2`, mapping, message: /^ENOMEM.*mmap$/ })),
  ...[1, 2, 3].map((mapping) => ({
    name: `mapping ${mapping} of 3`,
    mapping,
    calls: hideSingleMmap,
    message: /^ENOMEM.*mmap$/,
  })),
  ...[1, 2].map((mapping) => ({
    name: `own memory ${mapping} of 2`,
    mapping,
    flags: own,
    message: /^ENOMEM.*mmap$/,
  })),
  {
    name: 'a descriptor that cannot be mapped',
    calls: mapsNothing,
    message: /, mmap$/,
  },
  {
    name: 'no power of two',
    calls: () => misreporting((params) => params.set('sq_entries', 3)),
    message: /promise.*power of two/,
  },
  {
    name: 'fewer CQ entries',
    calls: () => misreporting((params) => params.set('cq_entries', 2)),
    message: /promise.*cq_entries/,
  },
  {
    name: 'an odd offset',
    calls: () => misreporting((params) => params.set('sq_off.head', 2)),
    message: /promise.*word-aligned/,
  },
  {
    name: 'a wrong SQ mask',
    calls: () => misreporting((params) => params.set('sq_off.ring_mask', 0)),
    message: /promise.*SQ mask/,
  },
  {
    name: 'a wrong CQ mask',
    calls: () => misreporting((params) => params.set('cq_off.ring_mask', 0)),
    message: /promise.*CQ mask/,
  },
  { name: 'own memory too small', calls: tooLarge, flags: own, message: /promise.*fits the memory/ },
  {
    name: 'own memory too small, no descriptor',
    calls: tooLarge,
    flags: own | IORING_SETUP_REGISTERED_FD_ONLY,
    message: /promise.*fits the memory/,
  },
]

for (const { name, calls, mapping = 0, flags = 0, message } of FAILURES) {
  test(
    `a setup that fails leaves nothing: ${name}`,
    needs({ linux: '6.5' }, () => {
      const before = firstCensus()
      // More often than a thread has places for registered rings.
      for (let round = 0; round < 20; round++) {
        withoutMapping(mapping, () => {
          const error = thrown(() => Ring.open({ entries: 4, flags }, calls?.() ?? kernelCalls))
          assert.match(error.message, message)
        })
      }
      sameAs(before)
      // The places are free.
      Ring.open({ entries: 4, flags: own | IORING_SETUP_REGISTERED_FD_ONLY }).close()
    }),
  )
}

for (const mapping of [1, 2]) {
  test(
    `a resize that cannot map the new memory (${mapping} of 2) closes the ring and leaves nothing`,
    needs({ linux: '6.13' }, () => {
      const before = firstCensus()
      for (let round = 0; round < 20; round++) {
        const ring = Ring.open({ entries: 4, flags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN })
        assert.is(ring.registerRingFd(), 0)
        withoutMapping(mapping, () => {
          assert.is(thrown(() => ring.resize({ entries: 8 })).syscall, 'mmap')
        })
        assert.ok(ring.closed)
        ring.close()
      }
      sameAs(before)
    }),
  )
}

interface Values {
  readonly flags: number
  readonly entries: number
  readonly cqEntries: number
}

/** Options whose members are other values each time they are read: the last of each list stands. */
function changing(entries: number[], cqEntries: number[], flags: number): Values {
  return {
    flags,
    get entries() {
      return entries.length > 1 ? entries.shift()! : entries[0]!
    },
    get cqEntries() {
      return cqEntries.length > 1 ? cqEntries.shift()! : cqEntries[0]!
    },
  }
}

test('options that change while they are read: the kernel is asked for what was checked', () => {
  const asked: number[] = []
  const calls = spied({
    setup(entries, address) {
      const params = new Struct(IO_URING_PARAMS, new Uint8Array(viewMemory(address, IO_URING_PARAMS.size)))
      asked.push(entries, params.get('cq_entries'))
      return -12
    },
  })
  thrown(() => Ring.open(changing([8, 2 ** 20], [64], 0), calls))
  thrown(() => Ring.open(changing([8, 8, 8, -1], [64], own), calls))
  assert.equal(asked, [8, 64, 8, 64])
})

test('every option is read once', () => {
  const read: string[] = []
  const values = {
    entries: 8,
    cqEntries: 16,
    flags: IORING_SETUP_SQPOLL,
    sqThreadIdleMs: 1,
    sqThreadCpu: 0,
    attachTo: 1,
  }
  const options = new Proxy(values, {
    get(target, name, receiver) {
      read.push(name as string)
      return Reflect.get(target, name, receiver)
    },
  })
  thrown(() => Ring.open(options, spied({ setup: () => -12 })))
  assert.equal(read.sort(), Object.keys(values).sort())
})

test(
  'options that change while they are read: memory of our own is as large as what the kernel is asked for',
  needs({ linux: '6.5' }, () => {
    // The size of that memory was taken from the last value.
    const ring = Ring.open(changing([128, 8], [4096, 4096, 4096, 16], own))
    try {
      assert.equal(ring.sqEntries, 128)
      assert.equal(ring.cqEntries, 4096)
    } finally {
      ring.close()
    }
  }),
)

test(
  'a resize asks for the entries that were checked',
  needs({ linux: '6.13' }, () => {
    const ring = Ring.open({
      entries: 8,
      flags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    })
    try {
      ring.resize(changing([16, 64], [256], 0))
      assert.equal(ring.sqEntries, 16)
    } finally {
      ring.close()
    }
  }),
)

test.run()
