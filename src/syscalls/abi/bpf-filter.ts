// IORING_REGISTER_BPF_FILTER, from linux/io_uring/bpf_filter.h: classic BPF programs that allow or deny requests.

// io_uring_bpf_filter.flags.
export const IO_URING_BPF_FILTER_DENY_REST = 0x1
export const IO_URING_BPF_FILTER_SZ_STRICT = 0x2

// io_uring_bpf.cmd_type.
export const IO_URING_BPF_CMD_FILTER = 1

/** Every constant above under the kernel release that brought it. */
export const bpfFilterSince = {
  '7.0': { IO_URING_BPF_FILTER_DENY_REST, IO_URING_BPF_FILTER_SZ_STRICT, IO_URING_BPF_CMD_FILTER },
} as const
