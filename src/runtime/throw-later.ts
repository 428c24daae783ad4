// Errors of callbacks that the driver calls: they belong to the program, and must not end the work of others.

/** Throws `error` as an uncaught exception, once this turn's other work is out of the way. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
