// Zero-copy receive: registration of a receive queue, and its control operations.

// Where the area id starts in io_uring_zcrx_cqe.off and io_uring_zcrx_rqe.off.
export const IORING_ZCRX_AREA_SHIFT = 48
export const IORING_ZCRX_AREA_MASK = 0xffff_0000_0000_0000n

// io_uring_zcrx_area_reg.flags.
export const IORING_ZCRX_AREA_DMABUF = 0x1

// io_uring_zcrx_ifq_reg.flags.
export const ZCRX_REG_IMPORT = 0x1
export const ZCRX_REG_NODEV = 0x2

// io_uring_query_zcrx.features.
export const ZCRX_FEATURE_RX_PAGE_SIZE = 0x1

// zcrx_ctrl.op.
export const ZCRX_CTRL_FLUSH_RQ = 0
export const ZCRX_CTRL_EXPORT = 1

// One past the last control operation of the header these tables follow.
export const __ZCRX_CTRL_LAST = 2

/** Every constant above under the kernel release that brought it. */
export const zcrxSince = {
  '6.15': { IORING_ZCRX_AREA_SHIFT, IORING_ZCRX_AREA_MASK },
  '6.16': { IORING_ZCRX_AREA_DMABUF },
  '6.19': { ZCRX_REG_IMPORT, ZCRX_CTRL_FLUSH_RQ, ZCRX_CTRL_EXPORT, __ZCRX_CTRL_LAST },
  '7.0': { ZCRX_FEATURE_RX_PAGE_SIZE },
  '7.1': { ZCRX_REG_NODEV },
} as const
