// IORING_REGISTER_QUERY, from linux/io_uring/query.h: what the running kernel knows, asked without a ring.

// io_uring_query_hdr.query_op.
export const IO_URING_QUERY_OPCODES = 0
export const IO_URING_QUERY_ZCRX = 1
export const IO_URING_QUERY_SCQ = 2

// One past the last query of the header these tables follow.
export const __IO_URING_QUERY_MAX = 3

/** Every constant above under the kernel release that brought it. */
export const querySince = {
  '6.18': { IO_URING_QUERY_OPCODES },
  '6.19': { IO_URING_QUERY_ZCRX, IO_URING_QUERY_SCQ, __IO_URING_QUERY_MAX },
} as const
