// Asks the kernel, one ioctl each time, whether memory is a mapping of a file that another addon has made.

import { closeSync, openSync } from 'node:fs'
import { addressOf } from '../ring/index.js'
import { ENOENT } from '../syscalls/errno-values.js'
import { ioctl } from '../syscalls/libc.js'
import type { Address } from '../syscalls/numbers.js'
import { defineStruct, Struct } from '../syscalls/struct.js'

// linux/fs.h, Linux 6.11.
const PROCMAP_QUERY = 0xc068_6611
const PROCMAP_QUERY_COVERING_OR_NEXT_VMA = 0x10
const PROCMAP_QUERY_FILE_BACKED_VMA = 0x20
const QUERY = defineStruct('procmap_query', 104, {
  size: [0, 'u64'],
  query_flags: [8, 'u64'],
  query_addr: [16, 'u64'],
  vma_start: [24, 'u64'],
  vma_end: [32, 'u64'],
})

let fd = -1
let query: Struct<keyof typeof QUERY.fields> | null = null

/** Asks for the first mapping of a file that ends above `address`. @returns 0 or a negated errno. */
function ask(address: Address): number {
  query ??= Struct.alloc(QUERY)
  query.bytes.fill(0)
  query.set('size', QUERY.size)
  query.set('query_flags', PROCMAP_QUERY_COVERING_OR_NEXT_VMA | PROCMAP_QUERY_FILE_BACKED_VMA)
  query.set('query_addr', address)
  return ioctl(fd, PROCMAP_QUERY, query.address)
}

/** Whether this kernel answers (Linux 6.11, /proc mounted). The descriptor that it takes stays open. */
export function canQueryMappings(): boolean {
  if (fd >= 0) return true
  try {
    fd = openSync('/proc/self/maps', 'r')
  } catch {
    return false
  }
  if (ask(addressOf(new Uint8Array(8))) >= 0 || ask(0) >= 0) return true
  closeSync(fd)
  fd = -1
  return false
}

/** Whether any byte of the range belongs to a file, whoever has mapped it. `canQueryMappings` must have said yes. */
export function isFileBacked(address: Address, length: number): boolean {
  if (length <= 0) return false
  const result = ask(address)
  // ENOENT: no mapping of a file from there on. Any other error says nothing: when in doubt, yes.
  if (result < 0) return result !== ENOENT
  return query!.get('vma_start') < address + length
}
