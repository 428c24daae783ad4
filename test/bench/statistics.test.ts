import { median, pairwiseDifferences, pairwiseRatios, spreadPercent } from '../../bench/harness/statistics.js'
import { assert, test } from '../harness.js'

test('median() is the middle value, whatever the order', () => {
  assert.is(median([3]), 3)
  assert.is(median([9, 1, 5]), 5)
  assert.is(median([1e9, 2, 3, -7, 10]), 3)
})

test('median() is the mean of the two middle values when their number is even', () => {
  assert.is(median([4, 1]), 2.5)
  assert.is(median([10, 2, 4, 8]), 6)
})

test('median() sorts by number, not by text, and leaves its argument alone', () => {
  const values = [100, 20, 3]
  assert.is(median(values), 20)
  assert.equal(values, [100, 20, 3])
})

test('median() throws when there is no value', () => {
  assert.throws(
    () => median([]),
    (error: unknown) => error instanceof RangeError,
  )
})

test('pairwiseRatios() divides round by round', () => {
  assert.equal(pairwiseRatios([2, 9, 8], [4, 3, 8]), [0.5, 3, 1])
})

test('pairwiseRatios() cancels a slow phase that met both sides', () => {
  // The machine was half as fast in the last two of three rounds; one side's own speed is 0.8 of the other's.
  const ratios = pairwiseRatios([80, 40, 40], [100, 50, 50])
  assert.equal(ratios, [0.8, 0.8, 0.8])
})

test('pairwiseRatios() and pairwiseDifferences() refuse rounds that do not pair up', () => {
  assert.throws(() => pairwiseRatios([1, 2], [1]), /do not pair up: 2 and 1/)
  assert.throws(() => pairwiseDifferences([1], [1, 2]), /do not pair up: 1 and 2/)
})

test('pairwiseDifferences() subtracts round by round', () => {
  assert.equal(pairwiseDifferences([50, 61], [40, 41]), [10, 20])
})

test('spreadPercent() is the median distance from the median, so one outlier does not move it', () => {
  assert.is(spreadPercent([100, 100, 100]), 0)
  assert.is(spreadPercent([90, 100, 110, 100, 100000]), 10)
})

test.run()
