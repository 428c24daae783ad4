// The offsets of the `read` suite: xorshift32, the same sequence as in bench/peers/read.c.

/** The first state. */
export const SEED = 0x9e3779b9 | 0

/** The state after `state`, a signed 32-bit integer that is never 0; mask it to get a block number. */
export function nextRandom(state: number): number {
  let next = state
  next ^= next << 13
  next ^= next >>> 17
  next ^= next << 5
  return next
}
