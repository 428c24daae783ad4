import {
  decodeControlMessages,
  encodeControlMessages,
  iovecs,
  messageHeader,
  readRecvmsgOut,
} from '../../../src/ring/memory/index.js'
import { IO_URING_RECVMSG_OUT, MSGHDR } from '../../../src/syscalls/abi/index.js'
import { viewMemory } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { Struct } from '../../../src/syscalls/struct.js'
import { assert, test } from '../../harness.js'

const hasCode =
  (code: string) =>
  (error: NodeJS.ErrnoException): boolean =>
    error.code === code

const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(length))

test('messageHeader() points to name, buffers and control data', () => {
  const [name, control, one, two] = [bytes(16), bytes(24), bytes(5), bytes(6)]
  const header = messageHeader({ name, control, buffers: [one, two] })
  const struct = new Struct(MSGHDR, new Uint8Array(viewMemory(header.address, MSGHDR.size)))
  assert.equal(struct.toObject(), {
    msg_name: addressOf(name),
    msg_namelen: 16,
    msg_iov: header.vectors.address,
    msg_iovlen: 2,
    msg_control: addressOf(control),
    msg_controllen: 24,
    msg_flags: 0,
  })
  assert.equal([header.nameLength, header.controlLength, header.flags], [16, 24, 0])
})

test('messageHeader() takes an IovecArray, and room sizes without memory', () => {
  const vectors = iovecs([bytes(3)])
  assert.is(messageHeader({ buffers: vectors }).vectors, vectors)
  const header = messageHeader({ nameBytes: 28, controlBytes: 64 })
  assert.equal([header.nameLength, header.controlLength, header.vectors.count], [28, 64, 0])
})

test('messageHeader() refuses bad options', () => {
  assert.throws(() => messageHeader({ buffer: [] } as never), hasCode('ERR_INVALID_ARG_VALUE'))
  assert.throws(() => messageHeader({ name: 'x' } as never), hasCode('ERR_INVALID_ARG_TYPE'))
  assert.throws(() => messageHeader({ control: [] } as never), hasCode('ERR_INVALID_ARG_TYPE'))
  assert.throws(() => messageHeader(null as never), hasCode('ERR_INVALID_ARG_TYPE'))
  assert.throws(() => messageHeader({ nameBytes: -1 }), hasCode('ERR_OUT_OF_RANGE'))
})

test('decodeControlMessages() undoes encodeControlMessages()', () => {
  const messages = [
    { level: 1, type: 1, data: Uint8Array.of(7, 0, 0, 0) },
    { level: -2, type: 3, data: new Uint8Array(0) },
    { level: 41, type: 50, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9) },
  ]
  const encoded = encodeControlMessages(messages)
  assert.is(encoded.byteLength, 24 + 16 + 32)
  assert.equal(
    decodeControlMessages(encoded).map(({ level, type, data }) => ({ level, type, data: [...data] })),
    messages.map(({ level, type, data }) => ({ level, type, data: [...data] })),
  )
})

test('decodeControlMessages() stops at a message that claims too much or too little', () => {
  const encoded = encodeControlMessages([
    { level: 1, type: 1, data: Uint8Array.of(7, 0, 0, 0) },
    { level: 1, type: 2, data: Uint8Array.of(8, 0, 0, 0) },
  ])
  encoded[24] = 200
  assert.is(decodeControlMessages(encoded).length, 1)
  encoded[24] = 15
  assert.is(decodeControlMessages(encoded).length, 1)
  assert.equal(decodeControlMessages(encoded.subarray(0, 15)), [])
})

function filled(
  nameLength: number,
  controlLength: number,
  payloadLength: number,
  total: number,
): Uint8Array<ArrayBuffer> {
  const buffer = bytes(total).fill(0xee)
  const head = new Struct(IO_URING_RECVMSG_OUT, buffer.subarray(0, 16))
  head.assign({ namelen: nameLength, controllen: controlLength, payloadlen: payloadLength, flags: 0x20 })
  return buffer
}

test('readRecvmsgOut() finds name, control data and payload behind the room left for them', () => {
  const header = messageHeader({ nameBytes: 28, controlBytes: 32 })
  const buffer = filled(16, 24, 5, 16 + 28 + 32 + 5)
  buffer.fill(1, 16, 44).fill(2, 44, 76).fill(3, 76)
  const out = readRecvmsgOut(buffer, header)
  assert.equal([...out.name], new Array(16).fill(1))
  assert.equal([...out.control], new Array(24).fill(2))
  assert.equal([...out.payload], new Array(5).fill(3))
  assert.equal([out.nameLength, out.payloadLength, out.flags], [16, 5, 0x20])
})

test('readRecvmsgOut() cuts a name and control data that did not fit', () => {
  const header = messageHeader({ nameBytes: 8, controlBytes: 8 })
  const out = readRecvmsgOut(filled(4000, 4000, 4000, 16 + 8 + 8 + 4), header)
  assert.equal([out.name.byteLength, out.control.byteLength, out.payload.byteLength], [8, 8, 4])
  assert.equal([out.nameLength, out.payloadLength], [4000, 4000])
})

test('readRecvmsgOut() refuses a buffer shorter than its headers', () => {
  const header = messageHeader({ nameBytes: 28, controlBytes: 32 })
  assert.throws(() => readRecvmsgOut(filled(0, 0, 0, 75), header), hasCode('ERR_OUT_OF_RANGE'))
  assert.throws(() => readRecvmsgOut(bytes(3), messageHeader()), hasCode('ERR_OUT_OF_RANGE'))
  assert.is(readRecvmsgOut(filled(0, 0, 0, 76), header).payload.byteLength, 0)
})

test.run()
