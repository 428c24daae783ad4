import { futexWaitv, iovecs, openHow, StatxResult, timespec } from '../../../src/ring/memory/index.js'
import { viewMemory } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, test } from '../../harness.js'

const hasCode =
  (code: string) =>
  (error: NodeJS.ErrnoException): boolean =>
    error.code === code

test('timespec() splits milliseconds into seconds and nanoseconds', () => {
  const parts = (time: Parameters<typeof timespec>[0]): number[] => {
    const struct = timespec(time)
    return [struct.get('tv_sec'), struct.get('tv_nsec')]
  }
  assert.equal(parts(0), [0, 0])
  assert.equal(parts(1500), [1, 500_000_000])
  assert.equal(parts(0.25), [0, 250_000])
  assert.equal(parts(999.9999999), [0, 999_999_999], 'never a whole second of nanoseconds')
  assert.equal(parts({ sec: 2 ** 40, nsec: 999_999_999 }), [2 ** 40, 999_999_999])
  assert.equal(parts({ sec: 3 }), [3, 0])
})

test('timespec() refuses what is no time', () => {
  for (const time of [
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    { sec: -1 },
    { sec: 0, nsec: 1e9 },
    { sec: 0.5 },
  ]) {
    assert.throws(() => timespec(time), hasCode('ERR_OUT_OF_RANGE'))
  }
  for (const time of ['1', null, undefined, 1n]) {
    assert.throws(() => timespec(time as never), hasCode('ERR_INVALID_ARG_TYPE'))
  }
})

test('iovecs() lists buffers, views and bare ranges', () => {
  const whole = new ArrayBuffer(16)
  const view = new Uint16Array(whole, 4, 3)
  const array = iovecs([whole, view, { address: 4096, length: 9 }, new Uint8Array(0)])
  assert.is(array.count, 4)
  assert.is(array.byteLength, 16 + 6 + 9)
  const words = new BigUint64Array(8)
  words.set([BigInt(addressOf(whole)), 16n, BigInt(addressOf(view)), 6n, 4096n, 9n, 0n, 0n])
  assert.equal(new BigUint64Array(viewMemory(array.address, 64)), words)
  assert.is(array.buffers[0], whole, 'keeps the buffers alive')
  assert.is(iovecs([]).address, 0)
})

test('iovecs() refuses too many and what is no memory', () => {
  const buffer = new Uint8Array(1)
  assert.is(iovecs(new Array(1024).fill(buffer)).count, 1024)
  assert.throws(() => iovecs(new Array(1025).fill(buffer)), hasCode('ERR_OUT_OF_RANGE'))
  assert.throws(() => iovecs([{ address: -1, length: 1 }]), hasCode('ERR_OUT_OF_RANGE'))
  for (const bad of ['text', 3, null, undefined]) {
    assert.throws(() => iovecs([bad as never]), hasCode('ERR_INVALID_ARG_TYPE'))
  }
  assert.throws(() => iovecs('text' as never), hasCode('ERR_INVALID_ARG_TYPE'))
})

test('openHow() fills open_how and refuses misspelled members', () => {
  const how = openHow({ flags: 2, mode: 0o644, resolve: 2n ** 63n })
  assert.equal([how.getBig('flags'), how.getBig('mode'), how.getBig('resolve')], [2n, 0o644n, 2n ** 63n])
  assert.is(openHow({ flags: 0 }).get('mode'), 0)
  assert.throws(() => openHow({ flags: 0, Mode: 1 } as never), hasCode('ERR_INVALID_ARG_VALUE'))
  for (const flags of [-1, 1.5, Number.NaN, -1n, 2n ** 64n]) {
    assert.throws(() => openHow({ flags }), hasCode('ERR_OUT_OF_RANGE'))
  }
  assert.throws(() => openHow({} as never), hasCode('ERR_INVALID_ARG_TYPE'))
  assert.throws(() => openHow(null as never), hasCode('ERR_INVALID_ARG_TYPE'))
})

test('futexWaitv() fills an array and refuses what a wait cannot take', () => {
  const waiters = futexWaitv([
    { address: 4096, value: 0xffff_ffff },
    { address: 8192, value: 0, flags: 2 },
  ])
  const row = (index: number): number[] => [
    waiters.get('uaddr', index),
    waiters.get('val', index),
    waiters.get('flags', index),
  ]
  assert.equal(row(0), [4096, 0xffff_ffff, 130])
  assert.equal(row(1), [8192, 0, 2])
  assert.throws(() => futexWaitv([]), hasCode('ERR_OUT_OF_RANGE'))
  assert.throws(() => futexWaitv(new Array(129).fill({ address: 0, value: 0 })), hasCode('ERR_OUT_OF_RANGE'))
  assert.throws(() => futexWaitv([{ address: 0, value: -1 }]), hasCode('ERR_OUT_OF_RANGE'))
  assert.throws(() => futexWaitv({} as never), hasCode('ERR_INVALID_ARG_TYPE'))
})

test('StatxResult reads what was written, times in nanoseconds', () => {
  const result = new StatxResult()
  result.struct.assign({
    stx_mask: 0xfff,
    stx_size: 2 ** 40,
    stx_ino: 2n ** 63n + 1n,
    stx_mode: 0o100644,
    'stx_mtime.tv_sec': -1,
    'stx_mtime.tv_nsec': 999_999_999,
    stx_dev_major: 8,
  })
  const fields = result.read()
  assert.is(fields.mask, 0xfff)
  assert.is(fields.size, 2 ** 40)
  assert.is(result.inode, 2n ** 63n + 1n)
  assert.is(fields.mode, 0o100644)
  assert.is(fields.mtimeNs, -1n)
  assert.is(fields.devMajor, 8)
  assert.is(fields.btimeNs, 0n)
})

test.run()
