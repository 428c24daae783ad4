import {
  decodeSocketAddress,
  type SocketAddress,
  SocketAddressResult,
  socketAddress,
} from '../../../src/ring/memory/index.js'
import { AF_INET, AF_INET6, AF_UNIX } from '../../../src/syscalls/abi/index.js'
import { assert, test } from '../../harness.js'

const hasCode =
  (code: string) =>
  (error: NodeJS.ErrnoException): boolean =>
    error.code === code

test('socketAddress() encodes IPv4 in network byte order', () => {
  const memory = socketAddress({ family: 'IPv4', address: '127.0.0.1', port: 0x1234 })
  assert.equal([...memory.bytes], [2, 0, 0x12, 0x34, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
  assert.equal([memory.length, memory.family], [16, AF_INET])
  assert.ok(memory.address > 0)
})

test('socketAddress() encodes IPv6 with flow label and scope', () => {
  const memory = socketAddress({ family: 'IPv6', address: 'fe80::1:2', port: 80, flowInfo: 5, scopeId: 3 })
  const group = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]
  assert.equal([...memory.bytes], [10, 0, 0, 80, 0, 0, 0, 5, ...group, 3, 0, 0, 0])
  assert.equal([memory.length, memory.family], [28, AF_INET6])
})

test('socketAddress() encodes Unix paths with, abstract names without, a NUL at the end', () => {
  const path = socketAddress({ family: 'unix', path: '/a' })
  assert.equal([...path.bytes], [1, 0, 0x2f, 0x61, 0])
  const abstract = socketAddress({ family: 'unix', abstract: 'ab' })
  assert.equal([...abstract.bytes], [1, 0, 0, 0x61, 0x62])
  assert.equal([...socketAddress({ family: 'unix', path: '' }).bytes], [1, 0])
  assert.is(path.family, AF_UNIX)
})

test('decodeSocketAddress() undoes socketAddress()', () => {
  const ipv6 = { family: 'IPv6', port: 65535, flowInfo: 0, scopeId: 0 } as const
  const addresses: SocketAddress[] = [
    { family: 'IPv4', address: '255.0.10.1', port: 0 },
    ...[
      '::',
      '::1',
      '1::',
      'fe80::1',
      '1:2:3:4:5:6:7:8',
      '1:0:2::3:0:0',
      '::ffff:1.2.3.4',
      '0:1:2:3:4:5:6:7',
    ].map((address) => ({ ...ipv6, address })),
    { family: 'unix', path: '/tmp/sock é' },
    { family: 'unix', path: '' },
    { family: 'unix', path: 'x'.repeat(107) },
    { family: 'unix', path: Uint8Array.of(0x2f, 0xff) },
    { family: 'unix', abstract: 'name' },
    { family: 'unix', abstract: '' },
    { family: 'unix', abstract: 'with\0nul' },
  ]
  for (const address of addresses) {
    assert.equal(decodeSocketAddress(socketAddress(address).bytes), address, JSON.stringify(address))
  }
})

test('decodeSocketAddress() writes IPv6 as RFC 5952 does', () => {
  const text = (address: string): string => {
    const decoded = decodeSocketAddress(socketAddress({ family: 'IPv6', address, port: 1 }).bytes)
    return 'address' in decoded ? decoded.address : ''
  }
  assert.is(text('2001:0DB8:0:0:0:0:0:0001'), '2001:db8::1')
  assert.is(text('2001:db8:0:1:1:1:1:1'), '2001:db8:0:1:1:1:1:1', 'one zero group stays')
  assert.is(text('2001:0:0:1:0:0:0:1'), '2001:0:0:1::1', 'the longest run')
  assert.is(text('1:0:0:2:0:0:3:4'), '1::2:0:0:3:4', 'the first of equals')
  assert.is(text('::1.2.3.4'), '::102:304')
  assert.is(text('64:ff9b::1.2.3.4'), '64:ff9b::102:304')
})

test('socketAddress() refuses what is no address', () => {
  const bad = (value: unknown, code: string): void => {
    assert.throws(() => socketAddress(value as SocketAddress), hasCode(code))
  }
  bad(null, 'ERR_INVALID_ARG_TYPE')
  bad({ family: 'inet', address: '1.2.3.4', port: 1 }, 'ERR_INVALID_ARG_VALUE')
  for (const address of ['', '1.2.3', '1.2.3.256', '::1', 'localhost']) {
    bad({ family: 'IPv4', address, port: 1 }, 'ERR_INVALID_ARG_VALUE')
  }
  for (const address of ['', '1.2.3.4', ':::', '1::2::3', 'fe80::1%lo', '12345::']) {
    bad({ family: 'IPv6', address, port: 1 }, 'ERR_INVALID_ARG_VALUE')
  }
  for (const port of [-1, 65536, 1.5, Number.NaN])
    bad({ family: 'IPv4', address: '1.2.3.4', port }, 'ERR_OUT_OF_RANGE')
  bad({ family: 'IPv4', address: '1.2.3.4', port: '80' }, 'ERR_INVALID_ARG_TYPE')
  bad({ family: 'unix', path: 'x'.repeat(108) }, 'ERR_OUT_OF_RANGE')
  bad({ family: 'unix', abstract: 'é'.repeat(54) }, 'ERR_OUT_OF_RANGE')
  bad({ family: 'unix', path: 'a\0b' }, 'ERR_INVALID_ARG_VALUE')
  bad({ family: 'unix', path: 3 }, 'ERR_INVALID_ARG_TYPE')
})

test('decodeSocketAddress() refuses bytes that end too early, and other families', () => {
  const { bytes } = socketAddress({ family: 'IPv6', address: '::1', port: 1 })
  assert.throws(() => decodeSocketAddress(bytes, 27), hasCode('ERR_OUT_OF_RANGE'))
  assert.throws(() => decodeSocketAddress(bytes, 29), hasCode('ERR_OUT_OF_RANGE'))
  assert.throws(() => decodeSocketAddress(Uint8Array.of(2, 0, 0, 80)), hasCode('ERR_OUT_OF_RANGE'))
  assert.throws(() => decodeSocketAddress(Uint8Array.of(17, 0, 0, 80)), hasCode('ERR_INVALID_ARG_VALUE'))
  assert.equal(decodeSocketAddress(new Uint8Array(0)), { family: 'unix', path: '' })
})

test('SocketAddressResult reads up to the length the kernel wrote', () => {
  const result = new SocketAddressResult()
  const words = new DataView(result.bytes.buffer)
  assert.is(words.getUint32(128, true), 128)
  assert.is(result.lengthAddress, result.address + 128)
  result.bytes.set(socketAddress({ family: 'IPv4', address: '10.0.0.1', port: 9 }).bytes)
  words.setUint32(128, 16, true)
  assert.equal(result.read(), { family: 'IPv4', address: '10.0.0.1', port: 9 })
  result.reset()
  assert.is(words.getUint32(128, true), 128)
})

test.run()
