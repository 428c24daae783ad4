// What an SQE asks for: `io_uring_sqe.opcode`, from linux/io_uring.h.

// enum io_uring_op.
export const IORING_OP_NOP = 0
export const IORING_OP_READV = 1
export const IORING_OP_WRITEV = 2
export const IORING_OP_FSYNC = 3
export const IORING_OP_READ_FIXED = 4
export const IORING_OP_WRITE_FIXED = 5
export const IORING_OP_POLL_ADD = 6
export const IORING_OP_POLL_REMOVE = 7
export const IORING_OP_SYNC_FILE_RANGE = 8
export const IORING_OP_SENDMSG = 9
export const IORING_OP_RECVMSG = 10
export const IORING_OP_TIMEOUT = 11
export const IORING_OP_TIMEOUT_REMOVE = 12
export const IORING_OP_ACCEPT = 13
export const IORING_OP_ASYNC_CANCEL = 14
export const IORING_OP_LINK_TIMEOUT = 15
export const IORING_OP_CONNECT = 16
export const IORING_OP_FALLOCATE = 17
export const IORING_OP_OPENAT = 18
export const IORING_OP_CLOSE = 19
export const IORING_OP_FILES_UPDATE = 20
export const IORING_OP_STATX = 21
export const IORING_OP_READ = 22
export const IORING_OP_WRITE = 23
export const IORING_OP_FADVISE = 24
export const IORING_OP_MADVISE = 25
export const IORING_OP_SEND = 26
export const IORING_OP_RECV = 27
export const IORING_OP_OPENAT2 = 28
export const IORING_OP_EPOLL_CTL = 29
export const IORING_OP_SPLICE = 30
export const IORING_OP_PROVIDE_BUFFERS = 31
export const IORING_OP_REMOVE_BUFFERS = 32
export const IORING_OP_TEE = 33
export const IORING_OP_SHUTDOWN = 34
export const IORING_OP_RENAMEAT = 35
export const IORING_OP_UNLINKAT = 36
export const IORING_OP_MKDIRAT = 37
export const IORING_OP_SYMLINKAT = 38
export const IORING_OP_LINKAT = 39
export const IORING_OP_MSG_RING = 40
export const IORING_OP_FSETXATTR = 41
export const IORING_OP_SETXATTR = 42
export const IORING_OP_FGETXATTR = 43
export const IORING_OP_GETXATTR = 44
export const IORING_OP_SOCKET = 45
export const IORING_OP_URING_CMD = 46
export const IORING_OP_SEND_ZC = 47
export const IORING_OP_SENDMSG_ZC = 48
export const IORING_OP_READ_MULTISHOT = 49
export const IORING_OP_WAITID = 50
export const IORING_OP_FUTEX_WAIT = 51
export const IORING_OP_FUTEX_WAKE = 52
export const IORING_OP_FUTEX_WAITV = 53
export const IORING_OP_FIXED_FD_INSTALL = 54
export const IORING_OP_FTRUNCATE = 55
export const IORING_OP_BIND = 56
export const IORING_OP_LISTEN = 57
export const IORING_OP_RECV_ZC = 58
export const IORING_OP_EPOLL_WAIT = 59
export const IORING_OP_READV_FIXED = 60
export const IORING_OP_WRITEV_FIXED = 61
export const IORING_OP_PIPE = 62
export const IORING_OP_NOP128 = 63
export const IORING_OP_URING_CMD128 = 64

// One past the last opcode of the header these tables follow. A newer kernel knows more, an older one less.
export const IORING_OP_LAST = 65

/** Every opcode under the kernel release that brought it. */
export const opcodesSince = {
  '5.1': {
    IORING_OP_NOP,
    IORING_OP_READV,
    IORING_OP_WRITEV,
    IORING_OP_FSYNC,
    IORING_OP_READ_FIXED,
    IORING_OP_WRITE_FIXED,
    IORING_OP_POLL_ADD,
    IORING_OP_POLL_REMOVE,
  },
  '5.2': { IORING_OP_SYNC_FILE_RANGE },
  '5.3': { IORING_OP_SENDMSG, IORING_OP_RECVMSG },
  '5.4': { IORING_OP_TIMEOUT },
  '5.5': {
    IORING_OP_TIMEOUT_REMOVE,
    IORING_OP_ACCEPT,
    IORING_OP_ASYNC_CANCEL,
    IORING_OP_LINK_TIMEOUT,
    IORING_OP_CONNECT,
  },
  '5.6': {
    IORING_OP_FALLOCATE,
    IORING_OP_OPENAT,
    IORING_OP_CLOSE,
    IORING_OP_FILES_UPDATE,
    IORING_OP_STATX,
    IORING_OP_READ,
    IORING_OP_WRITE,
    IORING_OP_FADVISE,
    IORING_OP_MADVISE,
    IORING_OP_SEND,
    IORING_OP_RECV,
    IORING_OP_OPENAT2,
    IORING_OP_EPOLL_CTL,
  },
  '5.7': { IORING_OP_SPLICE, IORING_OP_PROVIDE_BUFFERS, IORING_OP_REMOVE_BUFFERS },
  '5.8': { IORING_OP_TEE },
  '5.11': { IORING_OP_SHUTDOWN, IORING_OP_RENAMEAT, IORING_OP_UNLINKAT },
  '5.15': { IORING_OP_MKDIRAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT },
  '5.18': { IORING_OP_MSG_RING },
  '5.19': {
    IORING_OP_FSETXATTR,
    IORING_OP_SETXATTR,
    IORING_OP_FGETXATTR,
    IORING_OP_GETXATTR,
    IORING_OP_SOCKET,
    IORING_OP_URING_CMD,
  },
  '6.0': { IORING_OP_SEND_ZC },
  '6.1': { IORING_OP_SENDMSG_ZC },
  '6.7': {
    IORING_OP_READ_MULTISHOT,
    IORING_OP_WAITID,
    IORING_OP_FUTEX_WAIT,
    IORING_OP_FUTEX_WAKE,
    IORING_OP_FUTEX_WAITV,
  },
  '6.8': { IORING_OP_FIXED_FD_INSTALL },
  '6.9': { IORING_OP_FTRUNCATE },
  '6.11': { IORING_OP_BIND, IORING_OP_LISTEN },
  '6.15': { IORING_OP_RECV_ZC, IORING_OP_EPOLL_WAIT, IORING_OP_READV_FIXED, IORING_OP_WRITEV_FIXED },
  '6.16': { IORING_OP_PIPE },
  '6.19': { IORING_OP_NOP128, IORING_OP_URING_CMD128, IORING_OP_LAST },
} as const
