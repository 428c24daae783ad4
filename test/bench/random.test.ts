import { nextRandom, SEED } from '../../bench/harness/random.js'
import { assert, test } from '../harness.js'

test('nextRandom() is xorshift32 with the shifts 13, 17, 5, as in bench/peers/read.c', () => {
  // The same steps on unsigned BigInts, as C's uint32_t does them.
  let wide = BigInt(SEED >>> 0)
  let state = SEED
  for (let step = 0; step < 1000; step++) {
    wide ^= BigInt.asUintN(32, wide << 13n)
    wide ^= wide >> 17n
    wide ^= BigInt.asUintN(32, wide << 5n)
    state = nextRandom(state)
    assert.is(BigInt(state >>> 0), wide)
  }
})

test('nextRandom() reaches every sixteenth of a file about equally often', () => {
  const hits = new Array<number>(16).fill(0)
  let state = SEED
  for (let step = 0; step < 16000; step++) {
    state = nextRandom(state)
    hits[(state & 0xffff) >> 12]!++
  }
  for (const count of hits) assert.ok(count > 850 && count < 1150, `${count} of about 1000`)
})

test.run()
