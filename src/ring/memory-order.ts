// Which memory order the processor guarantees by itself. For the measurements see
// docs/decisions/atomics-where-they-order.md.

/**
 * Whether the processor keeps loads in order, and stores too: x86-64. There a plain load is an acquire load
 * and a plain store is a release store, unless the compiler interferes. V8 keeps element accesses in order,
 * but may reuse a value that it loaded before. Only a call that it cannot see into (enter(2)) ensures that a
 * plain load is really made.
 */
export const IS_TOTAL_STORE_ORDER: boolean = process.arch === 'x64'
