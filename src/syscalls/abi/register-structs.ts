// Layouts of the arguments of io_uring_register(2).
// A field of count 0 is the flexible array at the end of a struct.

import { defineStruct } from '../struct.js'

/** Linux 5.5, linux/io_uring.h. IORING_REGISTER_FILES_UPDATE; superseded by io_uring_rsrc_update. */
export const IO_URING_FILES_UPDATE = defineStruct('io_uring_files_update', 16, {
  offset: [0, 'u32'],
  resv: [4, 'u32'],
  fds: [8, 'u64'],
})

/** Linux 5.13, linux/io_uring.h. IORING_REGISTER_FILES2 and BUFFERS2; `flags` since 5.19. */
export const IO_URING_RSRC_REGISTER = defineStruct('io_uring_rsrc_register', 32, {
  nr: [0, 'u32'],
  flags: [4, 'u32'],
  resv2: [8, 'u64'],
  data: [16, 'u64'],
  tags: [24, 'u64'],
})

/** Linux 5.12, linux/io_uring.h. IORING_REGISTER_FILES_UPDATE and RING_FDS. */
export const IO_URING_RSRC_UPDATE = defineStruct('io_uring_rsrc_update', 16, {
  offset: [0, 'u32'],
  resv: [4, 'u32'],
  data: [8, 'u64'],
})

/** Linux 5.13, linux/io_uring.h. IORING_REGISTER_FILES_UPDATE2 and BUFFERS_UPDATE. */
export const IO_URING_RSRC_UPDATE2 = defineStruct('io_uring_rsrc_update2', 32, {
  offset: [0, 'u32'],
  resv: [4, 'u32'],
  data: [8, 'u64'],
  tags: [16, 'u64'],
  nr: [24, 'u32'],
  resv2: [28, 'u32'],
})

/** Linux 5.6, linux/io_uring.h. IORING_REGISTER_PROBE; an array of io_uring_probe_op follows. */
export const IO_URING_PROBE = defineStruct('io_uring_probe', 16, {
  last_op: [0, 'u8'],
  ops_len: [1, 'u8'],
  resv: [2, 'u16'],
  resv2: [4, 'u32', 3],
  ops: [16, 'u8', 0],
})

/** Linux 5.6, linux/io_uring.h. */
export const IO_URING_PROBE_OP = defineStruct('io_uring_probe_op', 8, {
  op: [0, 'u8'],
  resv: [1, 'u8'],
  flags: [2, 'u16'],
  resv2: [4, 'u32'],
})

/** Linux 5.10, linux/io_uring.h. IORING_REGISTER_RESTRICTIONS takes an array of these. */
export const IO_URING_RESTRICTION = defineStruct('io_uring_restriction', 16, {
  opcode: [0, 'u16'],
  register_op: [2, 'u8'],
  sqe_op: [2, 'u8'],
  sqe_flags: [2, 'u8'],
  resv: [3, 'u8'],
  resv2: [4, 'u32', 3],
})

/** Linux 7.0, linux/io_uring.h. The same for a task; an array of io_uring_restriction follows. */
export const IO_URING_TASK_RESTRICTION = defineStruct('io_uring_task_restriction', 16, {
  flags: [0, 'u16'],
  nr_res: [2, 'u16'],
  resv: [4, 'u32', 3],
  restrictions: [16, 'u8', 0],
})

/** Linux 6.0, linux/io_uring.h. IORING_REGISTER_FILE_ALLOC_RANGE. */
export const IO_URING_FILE_INDEX_RANGE = defineStruct('io_uring_file_index_range', 16, {
  off: [0, 'u32'],
  len: [4, 'u32'],
  resv: [8, 'u64'],
})

/** Linux 6.0, linux/io_uring.h. IORING_REGISTER_SYNC_CANCEL; `opcode` since 6.6. */
export const IO_URING_SYNC_CANCEL_REG = defineStruct('io_uring_sync_cancel_reg', 64, {
  addr: [0, 'u64'],
  fd: [8, 'i32'],
  flags: [12, 'u32'],
  'timeout.tv_sec': [16, 'i64'],
  'timeout.tv_nsec': [24, 'i64'],
  opcode: [32, 'u8'],
  pad: [33, 'u8', 7],
  pad2: [40, 'u64', 3],
})

/** Linux 5.19, linux/io_uring.h. One entry of a provided-buffer ring. */
export const IO_URING_BUF = defineStruct('io_uring_buf', 16, {
  addr: [0, 'u64'],
  len: [8, 'u32'],
  bid: [12, 'u16'],
  resv: [14, 'u16'],
})

/** Linux 5.19, linux/io_uring.h. A provided-buffer ring: `tail` lies in the unused end of the first entry. */
export const IO_URING_BUF_RING = defineStruct('io_uring_buf_ring', 16, {
  resv1: [0, 'u64'],
  resv2: [8, 'u32'],
  resv3: [12, 'u16'],
  tail: [14, 'u16'],
  bufs: [0, 'u8', 0],
})

/** Linux 5.19, linux/io_uring.h. IORING_REGISTER_PBUF_RING; `flags` since 6.4, `min_left` since 7.1. */
export const IO_URING_BUF_REG = defineStruct('io_uring_buf_reg', 40, {
  ring_addr: [0, 'u64'],
  ring_entries: [8, 'u32'],
  bgid: [12, 'u16'],
  flags: [14, 'u16'],
  min_left: [16, 'u32'],
  resv: [20, 'u32', 5],
})

/** Linux 6.8, linux/io_uring.h. IORING_REGISTER_PBUF_STATUS. */
export const IO_URING_BUF_STATUS = defineStruct('io_uring_buf_status', 40, {
  buf_group: [0, 'u32'],
  head: [4, 'u32'],
  resv: [8, 'u32', 8],
})

/** Linux 6.9, linux/io_uring.h. IORING_REGISTER_NAPI. */
export const IO_URING_NAPI = defineStruct('io_uring_napi', 16, {
  busy_poll_to: [0, 'u32'],
  prefer_busy_poll: [4, 'u8'],
  pad: [5, 'u8', 3],
  resv: [8, 'u64'],
})

/** Linux 6.12, linux/io_uring.h. IORING_REGISTER_CLOCK. */
export const IO_URING_CLOCK_REGISTER = defineStruct('io_uring_clock_register', 16, {
  clockid: [0, 'u32'],
  __resv: [4, 'u32', 3],
})

/** Linux 6.12, linux/io_uring.h. IORING_REGISTER_CLONE_BUFFERS; offsets and `nr` since 6.13. */
export const IO_URING_CLONE_BUFFERS = defineStruct('io_uring_clone_buffers', 32, {
  src_fd: [0, 'u32'],
  flags: [4, 'u32'],
  src_off: [8, 'u32'],
  dst_off: [12, 'u32'],
  nr: [16, 'u32'],
  pad: [20, 'u32', 3],
})

/** Linux 6.13, linux/io_uring.h. A range of memory shared with the kernel. */
export const IO_URING_REGION_DESC = defineStruct('io_uring_region_desc', 64, {
  user_addr: [0, 'u64'],
  size: [8, 'u64'],
  flags: [16, 'u32'],
  id: [20, 'u32'],
  mmap_offset: [24, 'u64'],
  __resv: [32, 'u64', 4],
})

/** Linux 6.13, linux/io_uring.h. IORING_REGISTER_MEM_REGION. */
export const IO_URING_MEM_REGION_REG = defineStruct('io_uring_mem_region_reg', 32, {
  region_uptr: [0, 'u64'],
  flags: [8, 'u64'],
  __resv: [16, 'u64', 2],
})
