// Layouts of what a ring is made of and what io_uring_enter(2) takes.
// A field of count 0 is the flexible array at the end of a struct.

import { defineStruct } from '../struct.js'

/** Linux 5.1, linux/io_uring.h. In a 128-byte entry `cmd` continues to the end. */
export const IO_URING_SQE = defineStruct('io_uring_sqe', 64, {
  opcode: [0, 'u8'],
  flags: [1, 'u8'],
  ioprio: [2, 'u16'],
  fd: [4, 'i32'],
  off: [8, 'u64'],
  addr2: [8, 'u64'],
  cmd_op: [8, 'u32'],
  __pad1: [12, 'u32'],
  addr: [16, 'u64'],
  splice_off_in: [16, 'u64'],
  level: [16, 'u32'],
  optname: [20, 'u32'],
  len: [24, 'u32'],
  rw_flags: [28, 'i32'],
  fsync_flags: [28, 'u32'],
  poll_events: [28, 'u16'],
  poll32_events: [28, 'u32'],
  sync_range_flags: [28, 'u32'],
  msg_flags: [28, 'u32'],
  timeout_flags: [28, 'u32'],
  accept_flags: [28, 'u32'],
  cancel_flags: [28, 'u32'],
  open_flags: [28, 'u32'],
  statx_flags: [28, 'u32'],
  fadvise_advice: [28, 'u32'],
  splice_flags: [28, 'u32'],
  rename_flags: [28, 'u32'],
  unlink_flags: [28, 'u32'],
  hardlink_flags: [28, 'u32'],
  xattr_flags: [28, 'u32'],
  msg_ring_flags: [28, 'u32'],
  uring_cmd_flags: [28, 'u32'],
  waitid_flags: [28, 'u32'],
  futex_flags: [28, 'u32'],
  install_fd_flags: [28, 'u32'],
  nop_flags: [28, 'u32'],
  pipe_flags: [28, 'u32'],
  user_data: [32, 'u64'],
  buf_index: [40, 'u16'],
  buf_group: [40, 'u16'],
  personality: [42, 'u16'],
  splice_fd_in: [44, 'i32'],
  file_index: [44, 'u32'],
  zcrx_ifq_idx: [44, 'u32'],
  optlen: [44, 'u32'],
  addr_len: [44, 'u16'],
  __pad3: [46, 'u16'],
  addr3: [48, 'u64'],
  __pad2: [56, 'u64'],
  attr_ptr: [48, 'u64'],
  attr_type_mask: [56, 'u64'],
  optval: [48, 'u64'],
  cmd: [48, 'u8', 0],
})

/** Linux 5.1, linux/io_uring.h. Only a 32-byte entry has `big_cqe`. */
export const IO_URING_CQE = defineStruct('io_uring_cqe', 16, {
  user_data: [0, 'u64'],
  res: [8, 'i32'],
  flags: [12, 'u32'],
  big_cqe: [16, 'u64', 0],
})

/** Linux 5.1, linux/io_uring.h. Byte offsets into the SQ ring mapping; `user_addr` since 6.5. */
export const IO_SQRING_OFFSETS = defineStruct('io_sqring_offsets', 40, {
  head: [0, 'u32'],
  tail: [4, 'u32'],
  ring_mask: [8, 'u32'],
  ring_entries: [12, 'u32'],
  flags: [16, 'u32'],
  dropped: [20, 'u32'],
  array: [24, 'u32'],
  resv1: [28, 'u32'],
  user_addr: [32, 'u64'],
})

/** Linux 5.1, linux/io_uring.h. Byte offsets into the CQ ring mapping; `flags` since 5.8, `user_addr` since 6.5. */
export const IO_CQRING_OFFSETS = defineStruct('io_cqring_offsets', 40, {
  head: [0, 'u32'],
  tail: [4, 'u32'],
  ring_mask: [8, 'u32'],
  ring_entries: [12, 'u32'],
  overflow: [16, 'u32'],
  cqes: [20, 'u32'],
  flags: [24, 'u32'],
  resv1: [28, 'u32'],
  user_addr: [32, 'u64'],
})

/** Linux 5.1, linux/io_uring.h. Argument of io_uring_setup(2); `features` since 5.4, `wq_fd` since 5.6. */
export const IO_URING_PARAMS = defineStruct('io_uring_params', 120, {
  sq_entries: [0, 'u32'],
  cq_entries: [4, 'u32'],
  flags: [8, 'u32'],
  sq_thread_cpu: [12, 'u32'],
  sq_thread_idle: [16, 'u32'],
  features: [20, 'u32'],
  wq_fd: [24, 'u32'],
  resv: [28, 'u32', 3],
  'sq_off.head': [40, 'u32'],
  'sq_off.tail': [44, 'u32'],
  'sq_off.ring_mask': [48, 'u32'],
  'sq_off.ring_entries': [52, 'u32'],
  'sq_off.flags': [56, 'u32'],
  'sq_off.dropped': [60, 'u32'],
  'sq_off.array': [64, 'u32'],
  'sq_off.resv1': [68, 'u32'],
  'sq_off.user_addr': [72, 'u64'],
  'cq_off.head': [80, 'u32'],
  'cq_off.tail': [84, 'u32'],
  'cq_off.ring_mask': [88, 'u32'],
  'cq_off.ring_entries': [92, 'u32'],
  'cq_off.overflow': [96, 'u32'],
  'cq_off.cqes': [100, 'u32'],
  'cq_off.flags': [104, 'u32'],
  'cq_off.resv1': [108, 'u32'],
  'cq_off.user_addr': [112, 'u64'],
})

/** Linux 5.11, linux/io_uring.h. For IORING_ENTER_EXT_ARG; `min_wait_usec` since 6.12. */
export const IO_URING_GETEVENTS_ARG = defineStruct('io_uring_getevents_arg', 24, {
  sigmask: [0, 'u64'],
  sigmask_sz: [8, 'u32'],
  min_wait_usec: [12, 'u32'],
  ts: [16, 'u64'],
})

/** Linux 6.13, linux/io_uring.h. For IORING_ENTER_EXT_ARG_REG. */
export const IO_URING_REG_WAIT = defineStruct('io_uring_reg_wait', 64, {
  'ts.tv_sec': [0, 'i64'],
  'ts.tv_nsec': [8, 'i64'],
  min_wait_usec: [16, 'u32'],
  flags: [20, 'u32'],
  sigmask: [24, 'u64'],
  sigmask_sz: [32, 'u32'],
  pad: [36, 'u32', 3],
  pad2: [48, 'u64', 2],
})

/** Linux 6.14, linux/io_uring.h. What `attr_ptr` of an SQE points to under IORING_RW_ATTR_FLAG_PI. */
export const IO_URING_ATTR_PI = defineStruct('io_uring_attr_pi', 32, {
  flags: [0, 'u16'],
  app_tag: [2, 'u16'],
  len: [4, 'u32'],
  addr: [8, 'u64'],
  seed: [16, 'u64'],
  rsvd: [24, 'u64'],
})

/** Linux 6.0, linux/io_uring.h. Head of each buffer that a multishot recvmsg fills. */
export const IO_URING_RECVMSG_OUT = defineStruct('io_uring_recvmsg_out', 16, {
  namelen: [0, 'u32'],
  controllen: [4, 'u32'],
  payloadlen: [8, 'u32'],
  flags: [12, 'u32'],
})

/** Linux 6.17, linux/io_uring.h. The time in the upper half of a SOCKET_URING_OP_TX_TIMESTAMP CQE. */
export const IO_TIMESPEC = defineStruct('io_timespec', 16, {
  tv_sec: [0, 'u64'],
  tv_nsec: [8, 'u64'],
})
