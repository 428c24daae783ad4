// What the processor orders by itself. docs/decisions/atomics-where-they-order.md tells what was measured.

/**
 * Loads are seen in order, and so are stores: x86-64. There an acquire load is a load like any other, and a release store
 * a store, as long as the compiler keeps its hands off. V8 keeps element accesses in order, but may use a value again that
 * it loaded before; only a call that it cannot look into (enter(2)) makes sure that a plain load happens.
 */
export const IS_TOTAL_STORE_ORDER: boolean = process.arch === 'x64'
