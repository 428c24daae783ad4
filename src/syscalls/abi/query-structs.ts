// Layouts of IORING_REGISTER_QUERY.

import { defineStruct } from '../struct.js'

/** Linux 6.18, linux/io_uring/query.h. One question; `next_entry` chains them. */
export const IO_URING_QUERY_HDR = defineStruct('io_uring_query_hdr', 40, {
  next_entry: [0, 'u64'],
  query_data: [8, 'u64'],
  query_op: [16, 'u32'],
  size: [20, 'u32'],
  result: [24, 'i32'],
  __resv: [28, 'u32', 3],
})

/** Linux 6.18, linux/io_uring/query.h. Answer to IO_URING_QUERY_OPCODES; `nr_query_opcodes` since 6.19. */
export const IO_URING_QUERY_OPCODE = defineStruct('io_uring_query_opcode', 48, {
  nr_request_opcodes: [0, 'u32'],
  nr_register_opcodes: [4, 'u32'],
  feature_flags: [8, 'u64'],
  ring_setup_flags: [16, 'u64'],
  enter_flags: [24, 'u64'],
  sqe_flags: [32, 'u64'],
  nr_query_opcodes: [40, 'u32'],
  __pad: [44, 'u32'],
})

/** Linux 6.19, linux/io_uring/query.h. Answer to IO_URING_QUERY_ZCRX; `features` since 7.0. */
export const IO_URING_QUERY_ZCRX_STRUCT = defineStruct('io_uring_query_zcrx', 40, {
  register_flags: [0, 'u64'],
  area_flags: [8, 'u64'],
  nr_ctrl_opcodes: [16, 'u32'],
  features: [20, 'u32'],
  rq_hdr_size: [24, 'u32'],
  rq_hdr_alignment: [28, 'u32'],
  __resv2: [32, 'u64'],
})

/** Linux 6.19, linux/io_uring/query.h. Answer to IO_URING_QUERY_SCQ. */
export const IO_URING_QUERY_SCQ_STRUCT = defineStruct('io_uring_query_scq', 16, {
  hdr_size: [0, 'u64'],
  hdr_alignment: [8, 'u64'],
})
