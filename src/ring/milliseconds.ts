// From milliseconds, in which times are given here, to the seconds and nanoseconds of the kernel.

/** Splits a number of milliseconds, which was checked, into what a timespec has. */
export function splitMilliseconds(ms: number): { sec: number; nsec: number } {
  const sec = Math.floor(ms / 1000)
  // Rounding may not yield a whole second: the kernel refuses 1000000000 nanoseconds.
  return { sec, nsec: Math.min(999_999_999, Math.round((ms - sec * 1000) * 1e6)) }
}
