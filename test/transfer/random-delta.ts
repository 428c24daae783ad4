// Deltas of random tokens, and what they make.

import type { DeltaToken } from '../../src/transfer/index.js'
import type { Random } from './scratch.js'

export const literal = (data: Uint8Array): DeltaToken => ({ type: 'literal', data })
export const block = (index: number, count?: number): DeltaToken =>
  count === undefined ? { type: 'block', index } : { type: 'block', index, count }
export const range = (offset: number, length: number): DeltaToken => ({ type: 'range', offset, length })

/** Random tokens, what they make, and what is to be counted. */
export function randomDelta(
  basis: Buffer,
  random: Random,
  rounds: number,
  blockBytes: number,
): { tokens: DeltaToken[]; output: Buffer; literals: number } {
  const tokens: DeltaToken[] = []
  const parts: Buffer[] = []
  const blocks = Math.ceil(basis.length / blockBytes)
  let literals = 0
  for (let round = 0; round < rounds; round++) {
    const kind = random.below(4)
    if (kind === 0) {
      const data = random.bytes(random.below(round % 10 === 0 ? 300_000 : 500))
      literals += data.length
      tokens.push(literal(data))
      parts.push(data)
    } else if (kind === 1) {
      const index = random.below(blocks)
      const count = 1 + random.below(Math.min(5, blocks - index))
      tokens.push(block(index, count))
      parts.push(basis.subarray(index * blockBytes, (index + count) * blockBytes))
    } else {
      const offset = random.below(basis.length)
      const most = basis.length - offset
      const length = kind === 2 ? random.below(most + 1) : random.below(Math.min(most, 1000) + 1)
      tokens.push(range(offset, length))
      parts.push(basis.subarray(offset, offset + length))
    }
  }
  return { tokens, output: Buffer.concat(parts), literals }
}
