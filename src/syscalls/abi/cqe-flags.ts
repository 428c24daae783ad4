// `io_uring_cqe.flags`. The upper 16 bits hold a buffer id when IORING_CQE_F_BUFFER is set.

export const IORING_CQE_F_BUFFER = 0x1
export const IORING_CQE_F_MORE = 0x2
export const IORING_CQE_F_SOCK_NONEMPTY = 0x4
export const IORING_CQE_F_NOTIF = 0x8
export const IORING_CQE_F_BUF_MORE = 0x10
export const IORING_CQE_F_SKIP = 0x20
export const IORING_CQE_F_32 = 0x8000

export const IORING_CQE_BUFFER_SHIFT = 16

// In a CQE of SOCKET_URING_OP_TX_TIMESTAMP the upper bits tell hardware from software, and the kind.
export const IORING_TIMESTAMP_HW_SHIFT = 16
export const IORING_TIMESTAMP_TYPE_SHIFT = 17
export const IORING_CQE_F_TSTAMP_HW = 0x1_0000

// A flag in the `res` of a notification CQE, asked for with IORING_SEND_ZC_REPORT_USAGE: the data was copied.
export const IORING_NOTIF_USAGE_ZC_COPIED = 0x8000_0000

/** Every constant above under the kernel release that brought it. */
export const cqeFlagsSince = {
  '5.7': { IORING_CQE_F_BUFFER, IORING_CQE_BUFFER_SHIFT },
  '5.13': { IORING_CQE_F_MORE },
  '5.19': { IORING_CQE_F_SOCK_NONEMPTY },
  '6.0': { IORING_CQE_F_NOTIF },
  '6.2': { IORING_NOTIF_USAGE_ZC_COPIED },
  '6.12': { IORING_CQE_F_BUF_MORE },
  '6.17': { IORING_TIMESTAMP_HW_SHIFT, IORING_TIMESTAMP_TYPE_SHIFT, IORING_CQE_F_TSTAMP_HW },
  '6.18': { IORING_CQE_F_SKIP, IORING_CQE_F_32 },
} as const
