// The two rolling checksums of librsync. A sum is a signed 32-bit integer here; files hold the same bits.

/** Seed and multipliers of the RabinKarp sum; the inverse undoes a multiplication modulo 2^32. */
const SEED = 1
export const MULTIPLIER = 0x08104225
export const INVERSE = 0x98f009ad | 0
/** Added to a byte that leaves the window, because of the seed: (multiplier - 1) * seed. */
export const SEED_ADJUSTMENT = 0x08104224
/** Added to every byte of a rollsum. */
export const BYTE_OFFSET = 31

const POWER2 = Math.imul(MULTIPLIER, MULTIPLIER)
const POWER3 = Math.imul(POWER2, MULTIPLIER)
const POWER4 = Math.imul(POWER3, MULTIPLIER)

/** The RabinKarp sum of a range. */
export function rabinKarpSum(bytes: Uint8Array, start: number, length: number): number {
  let hash = SEED
  let at = start
  // Four bytes at a time: one by one, each multiplication waits for the one before.
  for (const end = start + length - 3; at < end; at += 4) {
    hash =
      (Math.imul(hash, POWER4) +
        Math.imul(bytes[at]!, POWER3) +
        Math.imul(bytes[at + 1]!, POWER2) +
        Math.imul(bytes[at + 2]!, MULTIPLIER) +
        bytes[at + 3]!) |
      0
  }
  for (const end = start + length; at < end; at++) hash = (Math.imul(hash, MULTIPLIER) + bytes[at]!) | 0
  return hash
}

/** `MULTIPLIER` to the power of `exponent`, modulo 2^32. */
export function multiplierPower(exponent: number): number {
  let result = 1
  let base = MULTIPLIER
  for (let bits = exponent; bits > 0; bits = Math.floor(bits / 2)) {
    if (bits % 2 === 1) result = Math.imul(result, base)
    base = Math.imul(base, base)
  }
  return result
}

/** The rollsum of a range: two sums of 16 bits, the second in the high half. */
export function rollSum(bytes: Uint8Array, start: number, length: number): number {
  let first = 0
  let second = 0
  for (let at = start, end = start + length; at < end; at++) {
    first = (first + bytes[at]! + BYTE_OFFSET) | 0
    second = (second + first) | 0
  }
  return (second << 16) | (first & 0xffff)
}
