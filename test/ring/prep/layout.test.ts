import * as preps from '../../../src/ring/prep/index.js'
import { IORING_NOP_INJECT_RESULT, IORING_RW_ATTR_FLAG_PI } from '../../../src/syscalls/abi/index.js'
import { assert, test } from '../../harness.js'
import { bytesOf, call, emptySqe, encode, functionOf, prepCases } from './cases.js'

for (const { prep, args, fields } of prepCases) {
  test(`${prep}() fills exactly the fields of its operation`, () => {
    const sqe = emptySqe()
    const returned = call(
      prep,
      sqe,
      args.map(([, , value]) => value),
    )
    assert.equal(bytesOf(sqe), encode(fields))
    assert.is(returned, sqe, 'returns its entry')
  })
}

test('every exported prep function has a case', () => {
  const exported = Object.keys(preps).filter((name) => name.startsWith('prep'))
  assert.equal(prepCases.map(({ prep }) => prep as string).sort(), exported.sort())
})

test('prep functions take 0 for trailing flags that are not given', () => {
  for (const { prep, args } of prepCases) {
    // The length of a function stops at its first parameter with a default; `sqe` is one more than `args`.
    const optional = functionOf(prep).length <= args.length
    if (args.at(-1)?.[0] !== 'flags' || !optional || prep === 'prepNopResult') continue
    const values = args.map(([, , value]) => value)
    const [short, full] = [emptySqe(), emptySqe()]
    call(prep, short, values.slice(0, -1))
    call(prep, full, values.with(-1, 0))
    assert.equal(bytesOf(short), bytesOf(full), prep)
  }
})

test('prepNopResult() asks for the injection when no flags are given', () => {
  const sqe = emptySqe()
  preps.prepNopResult(sqe, -7)
  assert.equal(bytesOf(sqe), encode({ fd: -1, len: 0xffff_fff9, nop_flags: IORING_NOP_INJECT_RESULT }))
})

test('prepRead() stores an offset of -1 in both words', () => {
  const sqe = emptySqe()
  preps.prepRead(sqe, 3, 4096, 8, -1)
  assert.equal([sqe.words[2], sqe.words[3]], [-1, -1])
})

test('prepRead() keeps 53-bit and 63-bit offsets exact', () => {
  const offsets = [
    0,
    1,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 32 + 1,
    2 ** 52 + 1,
    Number.MAX_SAFE_INTEGER,
    0n,
    2n ** 32n - 1n,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
  ]
  for (const offset of offsets) {
    const sqe = emptySqe()
    preps.prepRead(sqe, 3, 4096, 8, offset)
    assert.equal(bytesOf(sqe), encode({ opcode: 22, fd: 3, addr: 4096, len: 8, off: offset }), String(offset))
  }
})

test('prepOpenDirect() stores an index plus one, and IORING_FILE_INDEX_ALLOC as it is', () => {
  for (const [index, stored] of [
    [0, 1],
    [0x7fff_ffff, 0x8000_0000],
    [0xffff_fffd, 0xffff_fffe],
    [0xffff_ffff, 0xffff_ffff],
  ] as const) {
    const sqe = emptySqe()
    preps.prepOpenDirect(sqe, 4096, 0, 0, index)
    assert.is(sqe.words[11]! >>> 0, stored)
  }
})

test('prepSendSetAddr() leaves the rest of an entry as it was', () => {
  const [sqe, whole] = [emptySqe(), emptySqe()]
  preps.prepSend(sqe, 3, 4096, 8, 0x40)
  preps.prepSendSetAddr(sqe, 8192, 28)
  preps.prepSendto(whole, 3, 4096, 8, 0x40, 8192, 28)
  assert.equal(bytesOf(sqe), bytesOf(whole))
})

test('setOperationFlags() replaces the flags word alone', () => {
  const sqe = emptySqe()
  preps.prepRead(sqe, 3, 4096, 8, 0)
  assert.is(preps.setOperationFlags(sqe, 0x8000_0008), sqe)
  assert.equal(bytesOf(sqe), encode({ opcode: 22, fd: 3, addr: 4096, len: 8, rw_flags: 0x8000_0008 }))
})

test('setReadWriteAttributes() stores pointer and mask', () => {
  const sqe = emptySqe()
  preps.prepRead(sqe, 3, 4096, 8, 0)
  preps.setReadWriteAttributes(sqe, 0x7fff_0000_1000)
  const fields = { opcode: 22, fd: 3, addr: 4096, len: 8, attr_ptr: 0x7fff_0000_1000 }
  assert.equal(bytesOf(sqe), encode({ ...fields, attr_type_mask: IORING_RW_ATTR_FLAG_PI }))
})

test('setFsyncRange() and setReceiveLimit() store what they are given, and nothing else', () => {
  const fsync = preps.setFsyncRange(preps.prepFsync(emptySqe(), 3), 2n ** 40n + 5n, 0xffff_ffff)
  assert.equal(bytesOf(fsync), encode({ opcode: 3, fd: 3, off: 2 ** 40 + 5, len: 0xffff_ffff }))
  const receive = preps.setReceiveLimit(preps.prepRecvMultishot(emptySqe(), 3, 0, 0), 0x8000_0001)
  assert.equal(bytesOf(receive), encode({ opcode: 27, fd: 3, ioprio: 2, file_index: 0x8000_0001 }))
  for (const bad of [-1, 0.5, 2 ** 32, Number.NaN]) {
    assert.throws(() => preps.setFsyncRange(fsync, 0, bad), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => preps.setReceiveLimit(receive, bad), { code: 'ERR_OUT_OF_RANGE' })
  }
  assert.throws(() => preps.setFsyncRange(fsync, -1, 0), { code: 'ERR_OUT_OF_RANGE' })
})

test('prep functions write nothing through an entry whose ring is closed', () => {
  const sqe = emptySqe()
  sqe.drop()
  for (const { prep, args } of prepCases) {
    call(
      prep,
      sqe,
      args.map(([, , value]) => value),
    )
  }
  assert.is(sqe.words.length, 0)
})

test.run()
