// Clocks, waitid(2) and futex(2).

// clock_gettime(2).
export const CLOCK_REALTIME = 0
export const CLOCK_MONOTONIC = 1
export const CLOCK_BOOTTIME = 7

// waitid(2): what the id names.
export const P_ALL = 0
export const P_PID = 1
export const P_PGID = 2
export const P_PIDFD = 3

// waitid(2): options.
export const WEXITED = 0x4
export const WSTOPPED = 0x2
export const WCONTINUED = 0x8
export const WNOHANG = 0x1
export const WNOWAIT = 0x100_0000

// siginfo_t.si_code after waitid(2).
export const CLD_EXITED = 1
export const CLD_KILLED = 2
export const CLD_DUMPED = 3

// futex(2): operations.
export const FUTEX_WAIT = 0
export const FUTEX_WAKE = 1

// futex(2): added to an operation, or to the flags of a futex2 call: no other process shares this futex.
export const FUTEX_PRIVATE_FLAG = 0x80

// The flags of a futex2 call and of futex_waitv.flags: the size of the futex word.
export const FUTEX_32 = 0x2

// A wake mask that matches every waiter.
export const FUTEX_BITSET_MATCH_ANY = 0xffff_ffff
