import { alignCells, formatNumber, targetTable } from '../../bench/harness/table.js'
import { assert, test } from '../harness.js'

test('alignCells() pads the first columns on the right and the others on the left', () => {
  const text = alignCells(
    [
      ['case', 'ops'],
      ['a', '1'],
      ['longer', '1000'],
    ],
    1,
  )
  assert.equal(text.split('\n'), ['case     ops', 'a          1', 'longer  1000'])
})

test('formatNumber() separates thousands and shows what is missing as a dash', () => {
  assert.is(formatNumber(1234567.891, 1), '1,234,567.9')
  assert.is(formatNumber(null, 2), '-')
  assert.is(formatNumber(Number.NaN, 2), '-')
})

test('targetTable() tells a target that failed from one that was not measured', () => {
  const lines = targetTable([
    { suite: 's', target: 'a', measured: 0.95, pass: true },
    { suite: 's', target: 'b', measured: 0.1, pass: false },
    { suite: 's', target: 'c', measured: null, pass: null },
  ]).split('\n')
  assert.match(lines[1]!, /^a +0\.95 +yes$/)
  assert.match(lines[2]!, /^b +0\.10 +NO$/)
  assert.match(lines[3]!, /^c +- +not measured$/)
})

test.run()
