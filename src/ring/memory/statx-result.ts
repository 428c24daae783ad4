// The answer of statx.

import { STATX } from '../../syscalls/abi/index.js'
import type { Address } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'

/**
 * The result of statx, under the kernel's names without `stx_`. `mask` (`STATX_*`) tells which are filled.
 */
export interface StatxFields {
  readonly mask: number
  /** Preferred size of a transfer, bytes. */
  readonly blksize: number
  readonly attributes: bigint
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  /** Type and permission bits. */
  readonly mode: number
  /** Loses precision beyond 2^53; `StatxResult.inode` does not. */
  readonly ino: number
  /** Bytes. */
  readonly size: number
  /** Units of 512 bytes. */
  readonly blocks: number
  readonly attributesMask: bigint
  /** Times are nanoseconds since 1970. */
  readonly atimeNs: bigint
  readonly btimeNs: bigint
  readonly ctimeNs: bigint
  readonly mtimeNs: bigint
  readonly rdevMajor: number
  readonly rdevMinor: number
  readonly devMajor: number
  readonly devMinor: number
  readonly mntId: number
  /** Alignment that direct IO wants of memory and of offsets, bytes; 0 where it is not supported. Linux 6.1. */
  readonly dioMemAlign: number
  readonly dioOffsetAlign: number
}

/**
 * Memory for one `struct statx`, and access to its fields. Keep it until the CQE; then it can be used again.
 */
export class StatxResult {
  /** The struct itself, for fields that `read` leaves out. */
  readonly struct: Struct<keyof typeof STATX.fields> = Struct.alloc(STATX)

  get address(): Address {
    return this.struct.address
  }

  /** The inode number, exactly. */
  get inode(): bigint {
    return this.struct.getBig('stx_ino')
  }

  /** What the kernel has written. Only worth reading once the CQE said 0. */
  read(): StatxFields {
    const { struct } = this
    return {
      mask: struct.get('stx_mask'),
      blksize: struct.get('stx_blksize'),
      attributes: struct.getBig('stx_attributes'),
      nlink: struct.get('stx_nlink'),
      uid: struct.get('stx_uid'),
      gid: struct.get('stx_gid'),
      mode: struct.get('stx_mode'),
      ino: struct.get('stx_ino'),
      size: struct.get('stx_size'),
      blocks: struct.get('stx_blocks'),
      attributesMask: struct.getBig('stx_attributes_mask'),
      atimeNs: this.#nanoseconds('stx_atime'),
      btimeNs: this.#nanoseconds('stx_btime'),
      ctimeNs: this.#nanoseconds('stx_ctime'),
      mtimeNs: this.#nanoseconds('stx_mtime'),
      rdevMajor: struct.get('stx_rdev_major'),
      rdevMinor: struct.get('stx_rdev_minor'),
      devMajor: struct.get('stx_dev_major'),
      devMinor: struct.get('stx_dev_minor'),
      mntId: struct.get('stx_mnt_id'),
      dioMemAlign: struct.get('stx_dio_mem_align'),
      dioOffsetAlign: struct.get('stx_dio_offset_align'),
    }
  }

  #nanoseconds(field: 'stx_atime' | 'stx_btime' | 'stx_ctime' | 'stx_mtime'): bigint {
    return this.struct.getBig(`${field}.tv_sec`) * 1_000_000_000n + this.struct.getBig(`${field}.tv_nsec`)
  }
}
