import { cString } from '../../../src/ring/memory/index.js'
import { viewMemory } from '../../../src/syscalls/libc.js'
import { assert, test } from '../../harness.js'

test('cString() ends its bytes with a NUL', () => {
  assert.equal([...cString('aé').bytes], [0x61, 0xc3, 0xa9, 0])
  assert.equal([...cString('').bytes], [0])
  assert.equal([...cString(Uint8Array.of(0xff, 0x61)).bytes], [0xff, 0x61, 0])
})

test('cString() gives the address of those bytes', () => {
  const string = cString('/tmp/x')
  assert.equal(Buffer.from(viewMemory(string.address, 7)).toString('latin1'), '/tmp/x\0')
})

test('cString() refuses a NUL inside, where C would see the end', () => {
  for (const text of ['a\0b', '\0', Uint8Array.of(97, 0)]) {
    assert.throws(
      () => cString(text),
      (error: NodeJS.ErrnoException) => error.code === 'ERR_INVALID_ARG_VALUE',
    )
  }
})

test('cString() refuses what is no string, under the name it is given', () => {
  const isTypeError = (error: NodeJS.ErrnoException): boolean =>
    error.code === 'ERR_INVALID_ARG_TYPE' && error.message.includes('"name"')
  assert.throws(() => cString(3 as never, 'name'), isTypeError)
  assert.throws(() => cString(null as never, 'name'), isTypeError)
})

test.run()
