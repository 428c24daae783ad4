// The arithmetic of the bench: medians, and ratios taken within a round, where both sides met the same machine.

/** The middle value, or the mean of the two middle ones. @throws RangeError when there is none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('No median of no values')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle]!
  return sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2
}

/**
 * `base[round] / other[round]` for each round. Noise that lasts longer than a round hits both numbers and cancels out;
 * a ratio of two medians would keep it.
 *
 * @throws RangeError when the two differ in length.
 */
export function pairwiseRatios(base: readonly number[], other: readonly number[]): number[] {
  if (base.length !== other.length) {
    throw new RangeError(`Rounds do not pair up: ${base.length} and ${other.length}`)
  }
  return base.map((value, round) => value / other[round]!)
}

/** `base[round] - other[round]` for each round. @throws RangeError when the two differ in length. */
export function pairwiseDifferences(base: readonly number[], other: readonly number[]): number[] {
  if (base.length !== other.length) {
    throw new RangeError(`Rounds do not pair up: ${base.length} and ${other.length}`)
  }
  return base.map((value, round) => value - other[round]!)
}

/** Median distance from the median, in percent of it: how far an ordinary run was off. One outlier does not move it. */
export function spreadPercent(values: readonly number[]): number {
  const middle = median(values)
  return (median(values.map((value) => Math.abs(value - middle))) / middle) * 100
}
