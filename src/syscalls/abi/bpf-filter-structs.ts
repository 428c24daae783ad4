// Layouts of IORING_REGISTER_BPF_FILTER.

import { defineStruct } from '../struct.js'

/** Linux 7.0, linux/io_uring/bpf_filter.h. What a filter program sees of a request. */
export const IO_URING_BPF_CTX = defineStruct('io_uring_bpf_ctx', 40, {
  user_data: [0, 'u64'],
  opcode: [8, 'u8'],
  sqe_flags: [9, 'u8'],
  pdu_size: [10, 'u8'],
  pad: [11, 'u8', 5],
  'socket.family': [16, 'u32'],
  'socket.type': [20, 'u32'],
  'socket.protocol': [24, 'u32'],
  'open.flags': [16, 'u64'],
  'open.mode': [24, 'u64'],
  'open.resolve': [32, 'u64'],
})

/** Linux 7.0, linux/io_uring/bpf_filter.h. One filter for one opcode. */
export const IO_URING_BPF_FILTER = defineStruct('io_uring_bpf_filter', 64, {
  opcode: [0, 'u32'],
  flags: [4, 'u32'],
  filter_len: [8, 'u32'],
  pdu_size: [12, 'u8'],
  resv: [13, 'u8', 3],
  filter_ptr: [16, 'u64'],
  resv2: [24, 'u64', 5],
})

/** Linux 7.0, linux/io_uring/bpf_filter.h. Argument of IORING_REGISTER_BPF_FILTER. */
export const IO_URING_BPF = defineStruct('io_uring_bpf', 72, {
  cmd_type: [0, 'u16'],
  cmd_flags: [2, 'u16'],
  resv: [4, 'u32'],
  'filter.opcode': [8, 'u32'],
  'filter.flags': [12, 'u32'],
  'filter.filter_len': [16, 'u32'],
  'filter.pdu_size': [20, 'u8'],
  'filter.resv': [21, 'u8', 3],
  'filter.filter_ptr': [24, 'u64'],
  'filter.resv2': [32, 'u64', 5],
})
