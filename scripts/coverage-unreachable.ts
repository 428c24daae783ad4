// What the tests cannot fully exercise on an ordinary machine, and why. Shown in docs/coverage.md.

export const unreachable: Readonly<Record<string, string>> = {
  IORING_OP_RECV_ZC: 'needs a network card with header split; its error is tested',
  IORING_OP_NOP128: 'Linux 6.19; its -EINVAL is tested on older kernels',
  IORING_OP_URING_CMD128: 'Linux 6.19; its -EINVAL is tested on older kernels',
  IORING_REGISTER_ZCRX_IFQ: 'needs a network card with header split; its error is tested',
  IORING_REGISTER_ZCRX_CTRL: 'Linux 6.19 and such a card; its error is tested',
  IORING_REGISTER_BPF_FILTER: 'Linux 7.0; its error is tested on older kernels',
}
