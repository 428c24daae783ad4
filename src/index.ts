// `uring`: io_uring as promises. The raw ring is `uring/ring`, configuration `uring/config`.

export * from './runtime/index.js'
