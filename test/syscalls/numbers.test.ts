// The two halves of a 64-bit field.

import { highWord, lowWord } from '../../src/syscalls/numbers.js'
import { assert, test } from '../harness.js'

/** What the kernel reads back from the two words. */
function joined(value: number): bigint {
  const words = new Int32Array([lowWord(value), highWord(value)])
  return new BigInt64Array(words.buffer)[0]!
}

const SAMPLES = [
  0,
  1,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_ffff,
  0x1_0000_0000,
  0x1_8000_0000,
  2 ** 47 - 1,
  2 ** 52,
]

for (const value of [...SAMPLES, Number.MAX_SAFE_INTEGER, -1, -2, -0x1_0000_0000, -0x1_0000_0001]) {
  test(`lowWord() and highWord() make up ${value}`, () => {
    assert.is(joined(value), BigInt(value))
  })
}

test('highWord() keeps the sign of -1, the current position of a file', () => {
  assert.is(lowWord(-1), -1)
  assert.is(highWord(-1), -1)
})

test.run()
