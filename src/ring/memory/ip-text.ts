// IP addresses between text and bytes.

import { isIPv4, isIPv6 } from 'node:net'
import { invalidValue } from '../../syscalls/argument-errors.js'

/** The four bytes of an IPv4 address. @throws TypeError `ERR_INVALID_ARG_VALUE`. */
export function parseIPv4(text: string): Uint8Array {
  if (!isIPv4(text)) throw invalidValue('address', text, 'must be an IPv4 address')
  return Uint8Array.from(text.split('.'), Number)
}

/** The sixteen bytes of an IPv6 address, without a zone. @throws TypeError `ERR_INVALID_ARG_VALUE`. */
export function parseIPv6(text: string): Uint8Array {
  if (!isIPv6(text) || text.includes('%'))
    throw invalidValue('address', text, 'must be an IPv6 address without a zone')
  // At most one "::" splits the groups into those before the run of zeros and those after it.
  const [head = '', tail = ''] = text.split('::')
  const before = groupBytes(head)
  const after = groupBytes(tail)
  const bytes = new Uint8Array(16)
  bytes.set(before)
  bytes.set(after, 16 - after.length)
  return bytes
}

function groupBytes(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    // The last 32 bits may be written as an IPv4 address.
    if (group.includes('.')) return [...parseIPv4(group)]
    const value = Number.parseInt(group, 16)
    return [value >>> 8, value & 0xff]
  })
}

/** An IPv4 address as text. */
export function formatIPv4(bytes: Uint8Array): string {
  return bytes.join('.')
}

/** An IPv6 address as text, in the form of RFC 5952. */
export function formatIPv6(bytes: Uint8Array): string {
  const mapped = bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0)
  if (mapped) return `::ffff:${formatIPv4(bytes.subarray(12, 16))}`
  const groups = Array.from({ length: 8 }, (_, index) => (bytes[2 * index]! << 8) | bytes[2 * index + 1]!)
  const { start, length } = longestZeroRun(groups)
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':')
  // A single zero group is not worth "::".
  return length < 2 ? hex(0, 8) : `${hex(0, start)}::${hex(start + length, 8)}`
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let index = 0; index <= groups.length; index++) {
    if (groups[index] === 0) continue
    if (index - start > best.length) best = { start, length: index - start }
    start = index + 1
  }
  return best
}
