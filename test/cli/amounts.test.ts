// Amounts as people read them.

import { count, paceText, sizeText } from '../../src/cli/amounts.js'
import { assert, test } from '../harness.js'

test('sizes and rates are rounded, and change the unit where they would be shown as 1024', () => {
  const sizes: [number, string][] = [
    [0, '0 bytes'],
    [1, '1 byte'],
    [20.17, '20 bytes'],
    [1023.4, '1023 bytes'],
    [1023.6, '1.0 KiB'],
    [1024 * 1023.96, '1.0 MiB'],
    [3.4 * 2 ** 40, '3.4 TiB'],
    [5000 * 2 ** 40, '5000.0 TiB'],
  ]
  for (const [bytes, text] of sizes) assert.is(sizeText(bytes), text)
  assert.is(paceText(3, 149), 'in 149 ms, 20 bytes/s')
  assert.is(paceText(0, 10_000), 'in 10.0 s')
})

test('words have their plural', () => {
  assert.is(count(1, 'entry'), '1 entry')
  assert.is(count(0, 'entry'), '0 entries')
  assert.is(count(2, 'file'), '2 files')
})

test.run()
