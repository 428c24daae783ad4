// `io_uring_sqe.flags`, and the special values of its fields that every opcode shares.

// io_uring_sqe.flags.
export const IOSQE_FIXED_FILE = 0x1
export const IOSQE_IO_DRAIN = 0x2
export const IOSQE_IO_LINK = 0x4
export const IOSQE_IO_HARDLINK = 0x8
export const IOSQE_ASYNC = 0x10
export const IOSQE_BUFFER_SELECT = 0x20
export const IOSQE_CQE_SKIP_SUCCESS = 0x40

// The same as bit numbers.
export const IOSQE_FIXED_FILE_BIT = 0
export const IOSQE_IO_DRAIN_BIT = 1
export const IOSQE_IO_LINK_BIT = 2
export const IOSQE_IO_HARDLINK_BIT = 3
export const IOSQE_ASYNC_BIT = 4
export const IOSQE_BUFFER_SELECT_BIT = 5
export const IOSQE_CQE_SKIP_SUCCESS_BIT = 6

// io_uring_sqe.file_index: let the kernel choose a free slot among the registered files.
export const IORING_FILE_INDEX_ALLOC = 0xffff_ffff

/** Every constant above under the kernel release that brought it. */
export const sqeFlagsSince = {
  '5.1': { IOSQE_FIXED_FILE, IOSQE_FIXED_FILE_BIT },
  '5.2': { IOSQE_IO_DRAIN, IOSQE_IO_DRAIN_BIT },
  '5.3': { IOSQE_IO_LINK, IOSQE_IO_LINK_BIT },
  '5.5': { IOSQE_IO_HARDLINK, IOSQE_IO_HARDLINK_BIT },
  '5.6': { IOSQE_ASYNC, IOSQE_ASYNC_BIT },
  '5.7': { IOSQE_BUFFER_SELECT, IOSQE_BUFFER_SELECT_BIT },
  '5.17': { IOSQE_CQE_SKIP_SUCCESS, IOSQE_CQE_SKIP_SUCCESS_BIT },
  '5.19': { IORING_FILE_INDEX_ALLOC },
} as const
