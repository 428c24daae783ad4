// Struct: typed access to kernel structs by field name.

import { IO_URING_PARAMS } from '../../src/syscalls/abi/index.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { defineStruct, Struct } from '../../src/syscalls/struct.js'
import { assert, needs, test } from '../harness.js'

const SAMPLE = defineStruct('sample', 40, {
  byte: [0, 'u8'],
  signedByte: [1, 'i8'],
  half: [2, 'u16'],
  signedHalf: [4, 'i16'],
  word: [8, 'u32'],
  signedWord: [12, 'i32'],
  long: [16, 'u64'],
  signedLong: [24, 'i64'],
  pair: [32, 'u32', 2],
  tail: [40, 'u64', 0],
})

test('defineStruct() refuses a field that ends past the struct', () => {
  assert.throws(() => defineStruct('small', 4, { wide: [0, 'u64'] }), /small\.wide ends past the struct/)
  assert.throws(() => defineStruct('small', 8, { pair: [4, 'u32', 2] }), /ends past/)
})

test('Struct.alloc() gives zeroed memory of count times the size', () => {
  const struct = Struct.alloc(SAMPLE, 3)
  assert.is(struct.bytes.byteLength, 120)
  assert.ok(struct.bytes.every((byte) => byte === 0))
})

test('get() reads back what set() wrote, at the edges of every type', () => {
  const edges: Record<string, number[]> = {
    byte: [0, 255],
    signedByte: [-128, 127],
    half: [0, 0xffff],
    signedHalf: [-0x8000, 0x7fff],
    word: [0, 0xffff_ffff],
    signedWord: [-0x8000_0000, 0x7fff_ffff],
    long: [0, Number.MAX_SAFE_INTEGER],
    signedLong: [Number.MIN_SAFE_INTEGER, -1, Number.MAX_SAFE_INTEGER],
  }
  const struct = Struct.alloc(SAMPLE, 2)
  for (const [field, values] of Object.entries(edges)) {
    const name = field as keyof typeof SAMPLE.fields
    for (const value of values) {
      struct.set(name, value, 1)
      assert.is(struct.get(name, 1), value, field)
      assert.is(struct.getBig(name, 1), BigInt(value), field)
      assert.is(struct.get(name, 0), 0, 'the element before is untouched')
    }
  }
})

test('set() changes the bytes of its field and no others', () => {
  const struct = Struct.alloc(SAMPLE)
  struct.bytes.fill(0xaa)
  struct.set('half', 0x1234)
  const expected = new Uint8Array(40).fill(0xaa)
  expected.set([0x34, 0x12], 2)
  assert.equal(struct.bytes, expected)
})

test('set() takes -1 for an unsigned 64-bit field: all bits set', () => {
  const struct = Struct.alloc(SAMPLE).set('long', -1)
  assert.is(struct.getBig('long'), 0xffff_ffff_ffff_ffffn)
  struct.set('long', 0xffff_0000_0000_0000n)
  assert.is(struct.getBig('long'), 0xffff_0000_0000_0000n)
})

test('get() and set() reach the elements of an array field', () => {
  const struct = Struct.alloc(SAMPLE, 2).set('pair', 1, 1, 0).set('pair', 2, 1, 1)
  assert.is(struct.get('pair', 1, 0), 1)
  assert.is(struct.get('pair', 1, 1), 2)
  assert.equal([...struct.bytes.subarray(72, 80)], [1, 0, 0, 0, 2, 0, 0, 0])
})

test('assign() sets several fields, toObject() reads the scalar ones', () => {
  const struct = Struct.alloc(SAMPLE).assign({ byte: 1, word: 2, signedLong: -3n })
  assert.equal(struct.toObject(), {
    byte: 1,
    signedByte: 0,
    half: 0,
    signedHalf: 0,
    word: 2,
    signedWord: 0,
    long: 0,
    signedLong: -3,
  })
})

test('get() throws past the last element rather than read foreign memory', () => {
  const struct = Struct.alloc(SAMPLE)
  assert.throws(() => struct.get('byte', 1), RangeError)
  assert.throws(() => struct.set('word', 1, -1), RangeError)
})

test('a Struct over part of a buffer stays inside its part', () => {
  const memory = new Uint8Array(100)
  const struct = new Struct(SAMPLE, memory.subarray(10, 50)).set('byte', 9)
  assert.is(memory[10], 9)
  assert.throws(() => struct.get('byte', 1), RangeError)
})

test('a nested field has its dotted name', () => {
  const params = Struct.alloc(IO_URING_PARAMS).set('cq_off.user_addr', 5)
  assert.is(params.get('cq_off.user_addr'), 5)
  assert.is(params.bytes[112], 5)
})

test(
  'address is that of the bytes',
  needs({ when: () => process.platform === 'linux' || 'needs Linux' }, () => {
    const struct = Struct.alloc(SAMPLE)
    assert.is(struct.address, addressOf(struct.bytes))
    assert.ok(struct.address > 0)
  }),
)

test.run()
