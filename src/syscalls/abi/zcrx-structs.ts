// Layouts of zero-copy receive.

import { defineStruct } from '../struct.js'

/** Linux 6.15, linux/io_uring.h. One refill queue entry: a buffer given back. */
export const IO_URING_ZCRX_RQE = defineStruct('io_uring_zcrx_rqe', 16, {
  off: [0, 'u64'],
  len: [8, 'u32'],
  __pad: [12, 'u32'],
})

/** Linux 6.15, linux/io_uring.h. The upper half of a 32-byte CQE. */
export const IO_URING_ZCRX_CQE = defineStruct('io_uring_zcrx_cqe', 16, {
  off: [0, 'u64'],
  __pad: [8, 'u64'],
})

/** Linux 6.15, linux/io_uring.h. Byte offsets into the refill queue region. */
export const IO_URING_ZCRX_OFFSETS = defineStruct('io_uring_zcrx_offsets', 32, {
  head: [0, 'u32'],
  tail: [4, 'u32'],
  rqes: [8, 'u32'],
  __resv2: [12, 'u32'],
  __resv: [16, 'u64', 2],
})

/** Linux 6.15, linux/io_uring.h. The memory that packets land in; `dmabuf_fd` since 6.16. */
export const IO_URING_ZCRX_AREA_REG = defineStruct('io_uring_zcrx_area_reg', 48, {
  addr: [0, 'u64'],
  len: [8, 'u64'],
  rq_area_token: [16, 'u64'],
  flags: [24, 'u32'],
  dmabuf_fd: [28, 'u32'],
  __resv2: [32, 'u64', 2],
})

/** Linux 6.15, linux/io_uring.h. IORING_REGISTER_ZCRX_IFQ; `rx_buf_len` since 7.0. */
export const IO_URING_ZCRX_IFQ_REG = defineStruct('io_uring_zcrx_ifq_reg', 96, {
  if_idx: [0, 'u32'],
  if_rxq: [4, 'u32'],
  rq_entries: [8, 'u32'],
  flags: [12, 'u32'],
  area_ptr: [16, 'u64'],
  region_ptr: [24, 'u64'],
  'offsets.head': [32, 'u32'],
  'offsets.tail': [36, 'u32'],
  'offsets.rqes': [40, 'u32'],
  'offsets.__resv2': [44, 'u32'],
  'offsets.__resv': [48, 'u64', 2],
  zcrx_id: [64, 'u32'],
  rx_buf_len: [68, 'u32'],
  __resv: [72, 'u64', 3],
})

/** Linux 6.19, linux/io_uring.h. Part of zcrx_ctrl for ZCRX_CTRL_FLUSH_RQ. */
export const ZCRX_CTRL_FLUSH_RQ_STRUCT = defineStruct('zcrx_ctrl_flush_rq', 48, {
  __resv: [0, 'u64', 6],
})

/** Linux 6.19, linux/io_uring.h. Part of zcrx_ctrl for ZCRX_CTRL_EXPORT. */
export const ZCRX_CTRL_EXPORT_STRUCT = defineStruct('zcrx_ctrl_export', 48, {
  zcrx_fd: [0, 'u32'],
  __resv1: [4, 'u32', 11],
})

/** Linux 6.19, linux/io_uring.h. IORING_REGISTER_ZCRX_CTRL. */
export const ZCRX_CTRL = defineStruct('zcrx_ctrl', 72, {
  zcrx_id: [0, 'u32'],
  op: [4, 'u32'],
  __resv: [8, 'u64', 2],
  'zc_export.zcrx_fd': [24, 'u32'],
  'zc_export.__resv1': [28, 'u32', 11],
  'zc_flush.__resv': [24, 'u64', 6],
})
