// addressOf() and MappedRegion: where buffers lie, and that no view outlives its mapping.

import { constants } from 'node:buffer'
import { closeSync, ftruncateSync, readSync, writeSync } from 'node:fs'
import {
  MADV_DONTFORK,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  PROT_READ,
} from '../../src/syscalls/abi/index.js'
import { close, memfdCreate, pipe2, pointerTo, read, write } from '../../src/syscalls/libc.js'
import { addressOf, knownAddressOf, MappedRegion, PAGE_BYTES } from '../../src/syscalls/memory.js'
import { collectGarbage as collect } from '../garbage.js'
import { assert, needs, test } from '../harness.js'

const onLinux = { when: (): true | string => process.platform === 'linux' || 'needs Linux' }

/** Lets the kernel copy bytes from one address to another, through a pipe. */
function copyByAddress(from: number, to: number, length: number): void {
  const fds = new Int32Array(2)
  assert.is(pipe2(addressOf(fds), 0), 0)
  const [readEnd, writeEnd] = fds as unknown as [number, number]
  assert.is(write(writeEnd, from, length), length)
  assert.is(read(readEnd, to, length), length)
  close(readEnd)
  close(writeEnd)
}

function collectGarbage(): void {
  collect({ type: 'minor' })
  collect()
}

test(
  'addressOf() is where the kernel finds the bytes, for every kind of memory',
  needs(onLinux, () => {
    const source = Buffer.from('abcdefgh')
    assert.ok(source.byteOffset > 0 || source.buffer.byteLength > 8, 'a small Buffer lies in the pool')
    const whole = new ArrayBuffer(64)
    const targets = [
      whole,
      Buffer.allocUnsafe(8),
      Buffer.alloc(8),
      Buffer.alloc(20).subarray(7, 15),
      new Uint8Array(8),
      new Uint8Array(whole, 13, 8),
      new Float64Array(1),
      new BigInt64Array(2).subarray(1),
      new DataView(new ArrayBuffer(32), 9, 8),
    ]
    for (const target of targets) {
      copyByAddress(addressOf(source), addressOf(target), 8)
      const bytes = ArrayBuffer.isView(target)
        ? Buffer.from(target.buffer as ArrayBuffer, target.byteOffset, 8)
        : Buffer.from(target, 0, 8)
      assert.is(bytes.toString(), 'abcdefgh')
    }
  }),
)

test(
  'addressOf() of a small typed array stays valid across garbage collections',
  needs(onLinux, () => {
    const arrays = Array.from({ length: 200 }, (_, index) => new Uint8Array(8).fill(index))
    const addresses = arrays.map((array) => addressOf(array))
    collectGarbage()
    collectGarbage()
    for (const [index, array] of arrays.entries()) {
      assert.is(pointerTo(array), addresses[index])
      const copy = new Uint8Array(8)
      copyByAddress(addresses[index]!, addressOf(copy), 8)
      assert.equal(copy, array)
    }
  }),
)

test(
  'addressOf() of a subarray is the address of the whole plus its offset',
  needs(onLinux, () => {
    const whole = new Uint8Array(100)
    assert.is(addressOf(whole.subarray(40)), addressOf(whole) + 40)
    assert.is(addressOf(new DataView(whole.buffer, 3)), addressOf(whole) + 3)
    assert.is(addressOf(whole.buffer), addressOf(whole))
  }),
)

test('addressOf() of an empty buffer is 0', () => {
  assert.is(addressOf(new ArrayBuffer(0)), 0)
  assert.is(addressOf(new Uint8Array(0)), 0)
})

test('addressOf() refuses a buffer that is too short', () => {
  assert.throws(() => addressOf(new Uint8Array(4), 5), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => addressOf(new Uint8Array(100).subarray(98), 5), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => addressOf(new Uint8Array(0), 1), { code: 'ERR_OUT_OF_RANGE' })
  addressOf(new Uint8Array(5), 5)
})

test('addressOf() refuses a length that is no number', () => {
  for (const length of ['4', null, [Object.create(null)], 4n] as unknown[]) {
    assert.throws(() => addressOf(new Uint8Array(8), length as number), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  assert.throws(() => addressOf(new Uint8Array(8), Number.NaN), { code: 'ERR_OUT_OF_RANGE' })
})

test('addressOf() refuses a detached buffer, also one whose address it gave before', () => {
  const bytes = new Uint8Array(16)
  addressOf(bytes)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  assert.throws(() => addressOf(bytes), { code: 'ERR_INVALID_ARG_VALUE' })
  assert.throws(() => addressOf(bytes, 16), { code: 'ERR_INVALID_ARG_VALUE' })
  assert.throws(() => addressOf(bytes.buffer), { code: 'ERR_INVALID_ARG_VALUE' })
})

test('addressOf() refuses memory whose length was overridden', () => {
  class Longer extends Uint8Array<ArrayBuffer> {
    override get length(): number {
      return 1 << 20
    }
  }
  const own = Buffer.allocUnsafeSlow(16)
  Object.defineProperty(own, 'length', { value: 1 << 20 })
  const others: (ArrayBuffer | ArrayBufferView)[] = [
    new Uint8Array(8),
    new Float64Array(8),
    new DataView(new ArrayBuffer(8)),
    new ArrayBuffer(8),
  ]
  for (const memory of others) Object.defineProperty(memory, 'byteLength', { value: 1 << 20 })
  for (const memory of [new Longer(new ArrayBuffer(8)), own, ...others]) {
    assert.is(knownAddressOf(memory as Uint8Array<ArrayBuffer>, 1), 0)
    assert.throws(() => addressOf(memory as Uint8Array), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /is not what the memory has/,
    })
  }
  const moved = new Uint8Array(new ArrayBuffer(64), 8, 8)
  const address = addressOf(moved)
  Object.defineProperty(moved, 'byteOffset', { value: 1 << 20 })
  Object.defineProperty(moved, 'buffer', { value: new ArrayBuffer(8) })
  assert.is(addressOf(moved), address)
})

test(
  'knownAddressOf() is the address of a view that was asked for before, until its memory is transferred',
  needs(onLinux, () => {
    const views = Array.from({ length: 4 }, (_, index) => new Uint8Array(new ArrayBuffer(64), index * 8, 8))
    const other = new Float64Array(4)
    assert.equal(
      views.map((view) => knownAddressOf(view, 8)),
      [0, 0, 0, 0],
    )
    // It remembers a view after some questions, not after the first.
    for (let round = 0; round < 100; round++) {
      for (const memory of [...views, other]) knownAddressOf(memory, 1) || addressOf(memory)
    }
    assert.equal(
      views.map((view) => knownAddressOf(view, 8)),
      views.map(pointerTo),
    )
    assert.is(knownAddressOf(other, 1), 0, 'bytes alone are remembered')
    assert.is(knownAddressOf(views[0]!.subarray(1), 1), 0, 'another view of the same memory is another view')
    assert.is(knownAddressOf(new Uint8Array(0), 0), 0)
    structuredClone(views[0]!.buffer, { transfer: [views[0]!.buffer as ArrayBuffer] })
    assert.is(knownAddressOf(views[0]!, 8), 0)
    const longer = views[1]!
    Object.defineProperty(longer, 'length', { value: 4096 })
    assert.is(knownAddressOf(longer, 4096), 0)
    assert.ok(knownAddressOf(longer, 8) > 0)
    assert.throws(() => addressOf(views[0]!), { code: 'ERR_INVALID_ARG_VALUE' })
  }),
)

test('addressOf() refuses shared memory and what is no memory', () => {
  const shared = new SharedArrayBuffer(8)
  for (const value of [shared, new Uint8Array(shared), 'text', 5, null, undefined, {}, [1]]) {
    assert.throws(() => addressOf(value as ArrayBuffer), { code: 'ERR_INVALID_ARG_TYPE' }, String(value))
  }
})

test(
  'MappedRegion.anonymous() is zeroed, page-aligned and writable',
  needs(onLinux, () => {
    const region = MappedRegion.anonymous(PAGE_BYTES * 2)
    assert.is(region.address % PAGE_BYTES, 0)
    const bytes = new Uint8Array(region.buffer)
    assert.is(bytes.length, PAGE_BYTES * 2)
    assert.ok(bytes.every((byte) => byte === 0))
    bytes.fill(7)
    assert.is(pointerTo(region.buffer), region.address)
    region.unmap()
  }),
)

test(
  'unmap() empties every view, and a second call does nothing',
  needs(onLinux, () => {
    const region = MappedRegion.anonymous(PAGE_BYTES)
    const buffer = region.buffer
    const words = new Int32Array(buffer)
    const view = new DataView(buffer)
    assert.ok(region.mapped)
    region.unmap()
    assert.not(region.mapped)
    assert.is(buffer.byteLength, 0)
    assert.is(words.length, 0)
    assert.is(words[0], undefined)
    words[0] = 1
    assert.throws(() => view.getInt8(0), TypeError)
    assert.throws(() => Atomics.load(words, 0))
    region.unmap()
  }),
)

test(
  'a region that is unmapped refuses every use',
  needs(onLinux, () => {
    const region = MappedRegion.anonymous(PAGE_BYTES)
    region.unmap()
    for (const use of [() => region.buffer, () => region.lock(), () => region.advise(MADV_DONTFORK)]) {
      assert.throws(use, { code: 'ERR_INVALID_STATE' })
    }
  }),
)

test(
  'unmap() works on a region that nothing looked at, and on one that is locked',
  needs(onLinux, () => {
    MappedRegion.anonymous(PAGE_BYTES).unmap()
    const region = MappedRegion.anonymous(PAGE_BYTES)
    assert.ok(region.lock() <= 0)
    region.advise(MADV_DONTFORK)
    region.unmap()
  }),
)

test(
  'a region ends with its `using` block',
  needs(onLinux, () => {
    let buffer: ArrayBuffer
    {
      using region = MappedRegion.anonymous(PAGE_BYTES)
      buffer = region.buffer
      assert.is(buffer.byteLength, PAGE_BYTES)
    }
    assert.is(buffer.byteLength, 0)
  }),
)

test(
  'MappedRegion.ofFile() shares its bytes with the file',
  needs(onLinux, () => {
    const fd = memfdCreate('memory-test', 0)
    assert.ok(fd >= 0)
    ftruncateSync(fd, PAGE_BYTES * 3)
    const region = MappedRegion.ofFile(fd, PAGE_BYTES, PAGE_BYTES * 2)
    const bytes = Buffer.from(region.buffer)
    bytes.write('from the mapping')
    const read16 = Buffer.alloc(16)
    readSync(fd, read16, 0, 16, PAGE_BYTES * 2)
    assert.is(read16.toString(), 'from the mapping')
    writeSync(fd, 'from the file...', PAGE_BYTES * 2)
    assert.is(bytes.toString('latin1', 0, 16), 'from the file...')
    region.unmap()
    closeSync(fd)
  }),
)

test(
  'a read-only mapping can be read',
  needs(onLinux, () => {
    const fd = memfdCreate('memory-test', 0)
    writeSync(fd, 'text')
    using region = MappedRegion.ofFile(fd, PAGE_BYTES, 0, { prot: PROT_READ })
    assert.is(Buffer.from(region.buffer).toString('latin1', 0, 4), 'text')
    closeSync(fd)
  }),
)

test(
  'mmap() that fails throws a SystemError',
  needs(onLinux, () => {
    assert.throws(() => MappedRegion.anonymous(0), { code: 'EINVAL' })
    assert.throws(() => MappedRegion.ofFile(-1, PAGE_BYTES, 0), { code: 'EBADF' })
  }),
)

test(
  'a region larger than any ArrayBuffer has no view, and does not end the process',
  needs(
    {
      when: () =>
        (process.platform === 'linux' && constants.MAX_LENGTH < 2 ** 46) || 'needs Linux and Node 20',
    },
    () => {
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
      using region = MappedRegion.anonymous(constants.MAX_LENGTH + PAGE_BYTES, flags)
      assert.throws(() => region.buffer, /ERR_OUT_OF_RANGE|length/)
      assert.ok(region.mapped)
    },
  ),
)

test.run()
