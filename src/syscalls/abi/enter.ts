// io_uring_enter(2), and the flag words that the kernel keeps in the ring memory.

// The flags argument.
export const IORING_ENTER_GETEVENTS = 0x1
export const IORING_ENTER_SQ_WAKEUP = 0x2
export const IORING_ENTER_SQ_WAIT = 0x4
export const IORING_ENTER_EXT_ARG = 0x8
export const IORING_ENTER_REGISTERED_RING = 0x10
export const IORING_ENTER_ABS_TIMER = 0x20
export const IORING_ENTER_EXT_ARG_REG = 0x40
export const IORING_ENTER_NO_IOWAIT = 0x80

// The SQ ring flags word: the kernel writes it, this library reads it.
export const IORING_SQ_NEED_WAKEUP = 0x1
export const IORING_SQ_CQ_OVERFLOW = 0x2
export const IORING_SQ_TASKRUN = 0x4

// The CQ ring flags word: this library writes it, the kernel reads it.
export const IORING_CQ_EVENTFD_DISABLED = 0x1

// io_uring_reg_wait.flags, for IORING_ENTER_EXT_ARG_REG.
export const IORING_REG_WAIT_TS = 0x1

/** Every constant above under the kernel release that brought it. */
export const enterSince = {
  '5.1': { IORING_ENTER_GETEVENTS, IORING_ENTER_SQ_WAKEUP, IORING_SQ_NEED_WAKEUP },
  '5.8': { IORING_SQ_CQ_OVERFLOW, IORING_CQ_EVENTFD_DISABLED },
  '5.10': { IORING_ENTER_SQ_WAIT },
  '5.11': { IORING_ENTER_EXT_ARG },
  '5.18': { IORING_ENTER_REGISTERED_RING },
  '5.19': { IORING_SQ_TASKRUN },
  '6.12': { IORING_ENTER_ABS_TIMER },
  '6.13': { IORING_ENTER_EXT_ARG_REG, IORING_REG_WAIT_TS },
  '6.15': { IORING_ENTER_NO_IOWAIT },
} as const
