// What docs/api.md says of its own: the entry points, and the titles of their sections. A section is what one source
// file exports, and is introduced by the comment that opens the file; without a title here it has the file's name.

export interface EntryPoint {
  /** What a program imports. */
  readonly name: string
  readonly source: string
  readonly intro: string
}

export const entryPoints: readonly EntryPoint[] = [
  {
    name: 'uring',
    source: 'src/index.ts',
    intro: `io_uring as promises in Node's event loop. Guides: [promises and batching](guides/promises-and-batching.md),
[cancellation](guides/cancellation.md), [workers](guides/workers.md), [when io_uring is
missing](guides/when-io-uring-is-missing.md).

Every operation takes an options object as its last argument ([OperationOptions](#operationoptions)). The mistakes of a
caller throw a TypeError or RangeError with Node's codes, before the ring is touched. What the kernel refuses rejects
with a [SystemError](#systemerror): \`code\`, negative \`errno\`, \`syscall\`, \`path\`. An abort rejects with
[AbortError](#aborterror), a time limit with \`ETIMEDOUT\`, and both only once the kernel has let go of the memory. On a
kernel that lacks an opcode the operation rejects with \`EINVAL\`; \`uring/fs\`, \`uring/net\` and \`uring/transfer\` fall back
instead.`,
  },
  {
    name: 'uring/fs',
    source: 'src/fs/index.ts',
    intro: `\`node:fs/promises\` over io_uring: what is not described here has the arguments, results and errors that
[Node's documentation](https://nodejs.org/api/fs.html#promises-api) gives. Guide: [files](guides/files.md). The default export
has every function as a member, for programs that take an implementation: \`{ fs: { promises } }\`. Members that only a
newer Node has (\`glob\`, \`mkdtempDisposable\`) are undefined in an older one.`,
  },
  {
    name: 'uring/net',
    source: 'src/net/index.ts',
    intro: `TCP, Unix and UDP sockets on the promise driver, with \`node:net\` and \`node:dgram\` underneath where io_uring is
missing. Guides: [sockets](guides/sockets.md), [servers and workers](guides/servers-and-workers.md), [zero
copy](guides/zero-copy.md).`,
  },
  {
    name: 'uring/transfer',
    source: 'src/transfer/index.ts',
    intro: `File transfer: readers of a basis, plans, signatures and deltas, patches, copies of files and trees. Guide: [transfers and
SQPOLL](guides/transfers-and-sqpoll.md).`,
  },
  {
    name: 'uring/config',
    source: 'src/config/index.ts',
    intro: `What to ask of a ring, what this machine gives, and the ring built from both. Every member of the config is explained
in the [config reference](config.md); the [decision on SQPOLL](decisions/sqpoll-and-mapped-basis.md) tells why it may be
refused.`,
  },
  {
    name: 'uring/ring',
    source: 'src/ring/index.ts',
    intro: `One ring, as near to the kernel as JavaScript can be; [architecture](architecture.md) tells how it is laid out in
memory, and the [coverage table](coverage.md) which function reaches which opcode and registration. A \`prep*\` function has the
name and the order of arguments of its function in liburing, fills the entry it is given and returns it. It checks all
arguments before it stores anything, and throws a TypeError or RangeError with Node's codes. What an entry's addresses
point to must stay alive until its completion.`,
  },
]

/** Titles of sections, by source file. */
export const titles: Readonly<Record<string, string>> = {
  'runtime/uring.ts': 'Uring',
  'runtime/default-uring.ts': 'The shared ring of a thread',
  'runtime/operations/base.ts': 'Options of every operation',
  'runtime/operations/control.ts': 'Control',
  'runtime/operations/file-data.ts': 'File data',
  'runtime/operations/paths.ts': 'Paths',
  'runtime/operations/multishot.ts': 'Multishot: options and messages',
  'runtime/operations/sockets.ts': 'Sockets of the driver',
  'runtime/submit-options.ts': 'Submitting, counters',
  'runtime/multishot.ts': 'Multishot streams',
  'runtime/chain.ts': 'Chains',
  'runtime/messages.ts': 'Messages between threads',
  'runtime/slot.ts': 'Prepare functions',
  'runtime/abort-error.ts': 'Aborts',
  'ring/ring.ts': 'Ring',
  'ring/sqe.ts': 'Submission queue entries',
  'ring/completion-queue.ts': 'Visitors of completions',
  'ring/setup.ts': 'Set-up',
  'ring/buffer-ring.ts': 'Provided-buffer rings',
  'ring/prep/fields.ts': 'Arguments of prep functions',
  'ring/prep/nop.ts': 'No operation',
  'ring/prep/read-write.ts': 'Reading and writing',
  'ring/prep/open-close.ts': 'Opening and closing',
  'ring/prep/file-paths.ts': 'Names',
  'ring/prep/file-space.ts': 'Space and flushing',
  'ring/prep/xattr.ts': 'Extended attributes',
  'ring/prep/pipes.ts': 'Pipes',
  'ring/prep/poll.ts': 'Readiness',
  'ring/prep/processes.ts': 'Processes and futexes',
  'ring/prep/timeouts.ts': 'Timers',
  'ring/prep/cancel.ts': 'Cancelling',
  'ring/prep/sockets.ts': 'Sockets',
  'ring/prep/send.ts': 'Sending',
  'ring/prep/receive.ts': 'Receiving',
  'ring/prep/messages.ts': 'Messages between rings',
  'ring/prep/buffers.ts': 'Provided buffers by operations',
  'ring/prep/commands.ts': 'Commands',
  'ring/prep/modifiers.ts': 'Refinements of an entry',
  'ring/prep/table.ts': 'Which function makes which opcode',
  'ring/register/bpf-filter.ts': 'Registering: filters',
  'ring/register/buffers.ts': 'Registering: buffers',
  'ring/register/cancel.ts': 'Registering: synchronous cancel',
  'ring/register/clock.ts': 'Registering: the clock',
  'ring/register/eventfd.ts': 'Registering: the eventfd',
  'ring/register/files.ts': 'Registering: files',
  'ring/register/io-wq.ts': 'Registering: worker threads of the kernel',
  'ring/register/memory-region.ts': 'Registering: memory regions',
  'ring/register/messages.ts': 'Registering: messages without a ring',
  'ring/register/napi.ts': 'Registering: busy polling of the network',
  'ring/register/personality.ts': 'Registering: personalities',
  'ring/register/probe.ts': 'Registering: probe',
  'ring/register/query.ts': 'Registering: query',
  'ring/register/restrictions.ts': 'Registering: restrictions',
  'ring/register/table.ts': 'Which function makes which registration',
  'ring/register/zcrx.ts': 'Registering: zero-copy receive',
  'ring/memory/ip-text.ts': 'Memory: IP addresses',
  'ring/memory/messages.ts': 'Memory: messages',
  'ring/memory/open-how.ts': 'Memory: the argument of openat2',
  'ring/memory/paths.ts': 'Memory: paths',
  'ring/memory/socket-addresses.ts': 'Memory: socket addresses',
  'ring/memory/statx-result.ts': 'Memory: the answer of statx',
  'ring/memory/times.ts': 'Memory: times',
  'ring/memory/vectors.ts': 'Memory: vectors',
  'ring/memory/futex-waiters.ts': 'Memory: futex waiters',
  'syscalls/errno.ts': 'Errors',
  'syscalls/memory.ts': 'Mapped memory and addresses',
  'syscalls/numbers.ts': 'Flavoured numbers',
  'syscalls/uring-calls.ts': 'The three system calls',
  'syscalls/abi/since.ts': 'Constants by name and release',
  'config/config.ts': 'Config and presets',
  'config/build-ring.ts': 'Building a ring',
  'config/sqpoll-policy.ts': 'The decision on SQPOLL',
  'config/setup-flags.ts': 'Setup flags',
  'config/process-policy.ts': 'Policy of the process',
  'config/pinned-basis.ts': 'Pinning a mapped basis',
  'config/kernel-version.ts': 'Kernel releases',
  'config/machine.ts': 'The machine, as tests replace it',
  'config/refusal.ts': 'Refusals in words',
  'config/container.ts': 'Containers',
  'config/memory-retry.ts': 'Waiting for memory',
  'fs/delegated.ts': "Node's own functions",
  'fs/names.ts': 'Names and directories',
  'transfer/copy/attributes.ts': 'What a copy takes over',
  'transfer/copy/errors.ts': 'Errors of copies',
  'transfer/copy/file.ts': 'Copying a file',
  'transfer/copy/job.ts': 'Methods of copying',
  'transfer/copy/options.ts': 'Options of copies',
  'transfer/copy/progress.ts': 'Progress of copies',
  'transfer/copy/tree.ts': 'Copying a tree',
  'transfer/copy/tree-filter.ts': 'Choosing what of a tree is copied',
  'transfer/rdiff/format.ts': 'Formats of signatures',
}
