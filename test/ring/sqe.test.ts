// The words of an SQE lie where the kernel's struct has its fields, and each setter touches its own bits only.

import * as sqeModule from '../../src/ring/sqe.js'
import { Sqe } from '../../src/ring/sqe.js'
import { IO_URING_SQE } from '../../src/syscalls/abi/index.js'
import { Struct } from '../../src/syscalls/struct.js'
import { assert, test } from '../harness.js'

type FieldName = keyof typeof IO_URING_SQE.fields

// Every field that starts in the word, whichever of its union names a prep function thinks of.
const FIELDS_OF_WORD: Record<string, FieldName[]> = {
  WORD_OPCODE: ['opcode'],
  WORD_FD: ['fd'],
  WORD_OFF: ['off', 'addr2', 'cmd_op'],
  WORD_ADDR: ['addr', 'splice_off_in', 'level'],
  WORD_LEN: ['len'],
  WORD_OP_FLAGS: ['rw_flags', 'open_flags', 'timeout_flags', 'msg_flags', 'poll32_events', 'uring_cmd_flags'],
  WORD_USER_DATA: ['user_data'],
  WORD_BUFFER: ['buf_index', 'buf_group'],
  WORD_FILE_INDEX: ['file_index', 'splice_fd_in', 'optlen', 'addr_len', 'zcrx_ifq_idx'],
  WORD_ADDR3: ['addr3', 'optval', 'attr_ptr', 'cmd'],
  WORD_ATTR: ['attr_type_mask'],
}

const words = Object.entries(sqeModule).filter(([name]) => name.startsWith('WORD_')) as [string, number][]

test('every WORD_ constant is the word of its fields in io_uring_sqe', () => {
  assert.equal(words.map(([name]) => name).sort(), Object.keys(FIELDS_OF_WORD).sort())
  for (const [name, index] of words) {
    for (const field of FIELDS_OF_WORD[name]!) {
      assert.is(index * 4, IO_URING_SQE.fields[field].offset, `${name} ${field}`)
    }
  }
})

test('optname is the word after level', () => {
  assert.is(IO_URING_SQE.fields.optname.offset, (sqeModule.WORD_ADDR + 1) * 4)
})

/** An entry and the same memory as the kernel sees it. */
function entry(fill = 0): { sqe: Sqe; struct: Struct<FieldName> } {
  const struct = Struct.alloc(IO_URING_SQE)
  struct.bytes.fill(fill)
  return { sqe: new Sqe(new Int32Array(struct.bytes.buffer)), struct }
}

interface SetterCase {
  readonly name: string
  readonly set: (sqe: Sqe, value: number) => Sqe
  readonly field: FieldName
  readonly good: readonly number[]
  readonly bad: readonly unknown[]
}

const NOT_INTEGERS = [0.5, Number.NaN, Number.POSITIVE_INFINITY, '1', null, undefined]

const CASES: SetterCase[] = [
  {
    name: 'setFlags',
    set: (sqe, value) => sqe.setFlags(value),
    field: 'flags',
    good: [0, 1, 0x40, 0x7f],
    bad: [-1, 0x80, 0x100, 2 ** 32, ...NOT_INTEGERS],
  },
  {
    name: 'setIoprio',
    set: (sqe, value) => sqe.setIoprio(value),
    field: 'ioprio',
    good: [0, 1, 0x8000, 0xffff],
    bad: [-1, 0x1_0000, 2 ** 32, ...NOT_INTEGERS],
  },
  {
    name: 'setPersonality',
    set: (sqe, value) => sqe.setPersonality(value),
    field: 'personality',
    good: [0, 1, 0x8000, 0xffff],
    bad: [-1, 0x1_0000, 2 ** 32, ...NOT_INTEGERS],
  },
  {
    name: 'setBufferGroup',
    set: (sqe, value) => sqe.setBufferGroup(value),
    field: 'buf_group',
    good: [0, 1, 0x8000, 0xffff],
    bad: [-1, 0x1_0000, 2 ** 32, ...NOT_INTEGERS],
  },
  {
    name: 'setBufferIndex',
    set: (sqe, value) => sqe.setBufferIndex(value),
    field: 'buf_index',
    good: [0, 1, 0x8000, 0xffff],
    bad: [-1, 0x1_0000, 2 ** 32, ...NOT_INTEGERS],
  },
]

for (const { name, set, field, good, bad } of CASES) {
  for (const fill of [0, 0xff, 0x5a]) {
    test(`${name}() writes ${field} and no other bit, over 0x${fill.toString(16)}`, () => {
      for (const value of good) {
        const { sqe, struct } = entry(fill)
        const expected = entry(fill).struct.set(field, value)
        assert.is(set(sqe, value), sqe, 'it can be chained')
        assert.equal(struct.bytes, expected.bytes)
      }
    })
  }

  test(`${name}() refuses a bad value and writes nothing`, () => {
    for (const value of bad) {
      const { sqe, struct } = entry(0x5a)
      assert.throws(
        () => set(sqe, value as number),
        (error: Error & { code?: string }) =>
          typeof value === 'number'
            ? error instanceof RangeError && error.code === 'ERR_OUT_OF_RANGE'
            : error instanceof TypeError && error.code === 'ERR_INVALID_ARG_TYPE',
        `${name}(${String(value)})`,
      )
      assert.equal(struct.bytes, entry(0x5a).struct.bytes)
    }
  })

  test(`${name}() throws a TypeError for a bigint`, () => {
    const { sqe, struct } = entry()
    assert.throws(() => set(sqe, 1n as unknown as number), {
      code: 'ERR_INVALID_ARG_TYPE',
      name: 'TypeError',
    })
    assert.ok(struct.bytes.every((byte) => byte === 0))
  })
}

test('addFlags() keeps the flags that are set, and refuses unknown ones', () => {
  const { sqe, struct } = entry()
  struct.set('opcode', 22).set('ioprio', 0xabcd)
  sqe.setFlags(0x01).addFlags(0x10).addFlags(0x10)
  assert.is(struct.get('flags'), 0x11)
  assert.is(struct.get('opcode'), 22)
  assert.is(struct.get('ioprio'), 0xabcd)
  for (const value of [0x80, -1, Number.NaN]) {
    assert.throws(() => sqe.addFlags(value), { code: 'ERR_OUT_OF_RANGE' })
  }
  assert.is(struct.get('flags'), 0x11)
})

test('setUserData() writes both halves and nothing else', () => {
  for (const [low, high] of [[0, 0] as const, [1, 2] as const, [0xffff_ffff, 0x8000_0001] as const]) {
    const { sqe, struct } = entry(0x5a)
    const expected = entry(0x5a).struct.set('user_data', (BigInt(high) << 32n) | BigInt(low))
    assert.is(sqe.setUserData(low, high), sqe)
    assert.equal(struct.bytes, expected.bytes)
  }
})

test('setUserData() sets the high half to 0 when it is not given', () => {
  const { sqe, struct } = entry(0xff)
  sqe.setUserData(7)
  assert.is(struct.get('user_data'), 7)
})

test('setUserData() refuses halves that are no unsigned 32-bit integers, and says which', () => {
  const { sqe, struct } = entry()
  const messageOf = (low: number, high: number): string => {
    try {
      sqe.setUserData(low, high)
    } catch (error) {
      assert.is((error as { code?: string }).code, 'ERR_OUT_OF_RANGE')
      return (error as Error).message
    }
    return ''
  }
  for (const bad of [-1, 2 ** 32, 0.5, Number.NaN]) {
    assert.match(messageOf(bad, 0), /"low"/)
    assert.match(messageOf(0, bad), /"high"/)
  }
  assert.ok(struct.bytes.every((byte) => byte === 0))
})

test('drop() leaves an entry that writes go nowhere from', () => {
  const { sqe, struct } = entry()
  sqe.drop()
  sqe.setUserData(1, 2).setFlags(1).setIoprio(3).setBufferIndex(4).setPersonality(5)
  assert.is(sqe.words.length, 0)
  assert.ok(struct.bytes.every((byte) => byte === 0))
})

test.run()
