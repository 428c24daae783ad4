// Layouts of the Linux structs that file, time, poll and futex operations point to.

import { defineStruct } from '../struct.js'

/** linux/uio.h. readv(2) and writev(2). */
export const IOVEC = defineStruct('iovec', 16, {
  iov_base: [0, 'u64'],
  iov_len: [8, 'u64'],
})

/** Linux 5.6, linux/openat2.h. Argument of openat2(2). */
export const OPEN_HOW = defineStruct('open_how', 24, {
  flags: [0, 'u64'],
  mode: [8, 'u64'],
  resolve: [16, 'u64'],
})

/** Linux 4.11, linux/stat.h. Answer of statx(2); `stx_mnt_id` since 5.8, `stx_dio_*` since 6.1. */
export const STATX = defineStruct('statx', 256, {
  stx_mask: [0, 'u32'],
  stx_blksize: [4, 'u32'],
  stx_attributes: [8, 'u64'],
  stx_nlink: [16, 'u32'],
  stx_uid: [20, 'u32'],
  stx_gid: [24, 'u32'],
  stx_mode: [28, 'u16'],
  __spare0: [30, 'u16'],
  stx_ino: [32, 'u64'],
  stx_size: [40, 'u64'],
  stx_blocks: [48, 'u64'],
  stx_attributes_mask: [56, 'u64'],
  'stx_atime.tv_sec': [64, 'i64'],
  'stx_atime.tv_nsec': [72, 'u32'],
  'stx_atime.__reserved': [76, 'i32'],
  'stx_btime.tv_sec': [80, 'i64'],
  'stx_btime.tv_nsec': [88, 'u32'],
  'stx_btime.__reserved': [92, 'i32'],
  'stx_ctime.tv_sec': [96, 'i64'],
  'stx_ctime.tv_nsec': [104, 'u32'],
  'stx_ctime.__reserved': [108, 'i32'],
  'stx_mtime.tv_sec': [112, 'i64'],
  'stx_mtime.tv_nsec': [120, 'u32'],
  'stx_mtime.__reserved': [124, 'i32'],
  stx_rdev_major: [128, 'u32'],
  stx_rdev_minor: [132, 'u32'],
  stx_dev_major: [136, 'u32'],
  stx_dev_minor: [140, 'u32'],
  stx_mnt_id: [144, 'u64'],
  stx_dio_mem_align: [152, 'u32'],
  stx_dio_offset_align: [156, 'u32'],
  __spare3: [160, 'u64', 12],
})

/** Linux 4.11, linux/stat.h. */
export const STATX_TIMESTAMP = defineStruct('statx_timestamp', 16, {
  tv_sec: [0, 'i64'],
  tv_nsec: [8, 'u32'],
  __reserved: [12, 'i32'],
})

/** asm-generic/statfs.h. Answer of statfs(2), the same on every 64-bit target. */
export const STATFS = defineStruct('statfs', 120, {
  f_type: [0, 'i64'],
  f_bsize: [8, 'i64'],
  f_blocks: [16, 'u64'],
  f_bfree: [24, 'u64'],
  f_bavail: [32, 'u64'],
  f_files: [40, 'u64'],
  f_ffree: [48, 'u64'],
  'f_fsid.__val': [56, 'i32', 2],
  f_namelen: [64, 'i64'],
  f_frsize: [72, 'i64'],
  f_flags: [80, 'i64'],
  f_spare: [88, 'i64', 4],
})

/** Linux 4.18, linux/time_types.h. The timespec of every io_uring operation. */
export const KERNEL_TIMESPEC = defineStruct('__kernel_timespec', 16, {
  tv_sec: [0, 'i64'],
  tv_nsec: [8, 'i64'],
})

/** time.h. The C library's timespec: on a 64-bit target the same as __kernel_timespec. */
export const TIMESPEC = defineStruct('timespec', 16, {
  tv_sec: [0, 'i64'],
  tv_nsec: [8, 'i64'],
})

/** Linux 5.16, linux/futex.h. IORING_OP_FUTEX_WAITV takes an array of these. */
export const FUTEX_WAITV = defineStruct('futex_waitv', 24, {
  val: [0, 'u64'],
  uaddr: [8, 'u64'],
  flags: [16, 'u32'],
  __reserved: [20, 'u32'],
})

/** poll.h. poll(2). */
export const POLLFD = defineStruct('pollfd', 8, {
  fd: [0, 'i32'],
  events: [4, 'i16'],
  revents: [6, 'i16'],
})

// Only on x86-64 does the kernel pack this struct, so that 32-bit programs share its layout.
const EPOLL_DATA_AT = process.arch === 'x64' ? 4 : 8

/** sys/epoll.h. epoll_ctl(2) and epoll_wait(2): 12 bytes on x64, 16 elsewhere. */
export const EPOLL_EVENT = defineStruct('epoll_event', EPOLL_DATA_AT + 8, {
  events: [0, 'u32'],
  'data.ptr': [EPOLL_DATA_AT, 'u64'],
  'data.fd': [EPOLL_DATA_AT, 'i32'],
  'data.u32': [EPOLL_DATA_AT, 'u32'],
  'data.u64': [EPOLL_DATA_AT, 'u64'],
})
