// Types for numbers that are easily swapped by mistake. The type checker accepts a plain number for each of
// them, but never one kind for another.

declare const flavor: unique symbol
type Flavor<Name extends string> = number & { readonly [flavor]?: Name }

/** A file descriptor, or -1 where the call wants none. */
export type Fd = Flavor<'Fd'>
/** A virtual address of this process: a non-negative safe integer (user space ends below 2^56). */
export type Address = Flavor<'Address'>
/** A provided-buffer group, 0 to 65535. */
export type GroupId = Flavor<'GroupId'>
/** A buffer inside a provided-buffer group, 0 to 65535. */
export type BufferId = Flavor<'BufferId'>

/** The low 32 bits of a non-negative safe integer (or of -1), as the signed word that a typed array stores. */
export function lowWord(value: number): number {
  return value | 0
}

/**
 * The high 32 bits of a safe integer. A shift would be wrong here: `>>>` works modulo 2^32, so it would turn
 * -1 (the "current position" of a file) into 4294967295.
 */
export function highWord(value: number): number {
  return Math.floor(value / 0x1_0000_0000)
}
