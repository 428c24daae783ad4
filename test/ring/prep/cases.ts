// Every prep function with arguments of known kinds, and the fields of `struct io_uring_sqe` that must hold them. The
// fields go by the kernel's names and are encoded through the layout that test/syscalls/abi.test.ts proves, so word
// indices and shifts of the code under test are not repeated here.

import * as preps from '../../../src/ring/prep/index.js'
import { Sqe } from '../../../src/ring/sqe.js'
import * as abi from '../../../src/syscalls/abi/index.js'
import { Struct } from '../../../src/syscalls/struct.js'

export type SqeField = keyof typeof abi.IO_URING_SQE.fields
export type Fields = Partial<Record<SqeField, number | bigint>>

/** What an argument may be; each kind has its bounds in arguments.test.ts. */
export type Kind = 'int32' | 'uint32' | 'uint16' | 'flags' | 'address' | 'offset' | 'uint64' | 'fileIndex'
export type Argument = readonly [name: string, kind: Kind, value: number | bigint]
export type PrepName = Extract<keyof typeof preps, `prep${string}`>

export interface PrepCase {
  readonly prep: PrepName
  readonly args: readonly Argument[]
  readonly fields: Fields
}

/** An entry as `getSqe` hands it out. */
export function emptySqe(): Sqe {
  return new Sqe(new Int32Array(16))
}

/** The bytes of an entry with these fields. */
export function encode(fields: Fields): Uint8Array {
  return Struct.alloc(abi.IO_URING_SQE).assign(fields).bytes
}

/** The bytes of an entry. */
export function bytesOf(sqe: Sqe): Uint8Array {
  return new Uint8Array(sqe.words.buffer, sqe.words.byteOffset, sqe.words.byteLength)
}

const functions = new Map<string, unknown>(Object.entries(preps))

/** A prep function by name, free of its types: tests call it with what it must refuse. */
export function functionOf(prep: PrepName): (sqe: Sqe, ...args: unknown[]) => unknown {
  return functions.get(prep) as (sqe: Sqe, ...args: unknown[]) => unknown
}

/** Calls a prep function by name. */
export function call(prep: PrepName, sqe: Sqe, args: readonly unknown[]): unknown {
  return functionOf(prep)(sqe, ...args)
}

// All of them above 2^32, so a lost high word shows.
const A = 0x7f12_8345_6788
const B = 0x7f9a_bcde_f018
const C = 0x5601_0203_0408
const OFFSET = 2 ** 40 + 2 ** 31 + 7

const int32 = (name: string, value: number): Argument => [name, 'int32', value]
const fd = (name: string, value: number): Argument => [name, 'int32', value]
const uint32 = (name: string, value: number): Argument => [name, 'uint32', value]
const uint16 = (name: string, value: number): Argument => [name, 'uint16', value]
const flags = (name: string, value: number): Argument => [name, 'flags', value]
const address = (name: string, value: number): Argument => [name, 'address', value]
const offset = (name: string, value: number | bigint): Argument => [name, 'offset', value]
const uint64 = (name: string, value: number | bigint): Argument => [name, 'uint64', value]
const fileIndex = (name: string, value: number): Argument => [name, 'fileIndex', value]

const ALLOC = abi.IORING_FILE_INDEX_ALLOC
const AT_FDCWD = -100

const transfer = [fd('fd', 7), address('address', A), uint32('length', 0x8000_0001), offset('offset', OFFSET)]
const transferFields = { fd: 7, addr: A, len: 0x8000_0001, off: OFFSET }
const vectored = [fd('fd', 7), address('vectors', A), uint32('vectorCount', 3), offset('offset', -1)]
const vectoredFields = { fd: 7, addr: A, len: 3, off: -1 }
const sending = [fd('fd', 7), address('address', A), uint32('length', 0xffff_ffff), flags('flags', 0x4000)]
const sendingFields = { fd: 7, addr: A, len: 0xffff_ffff, msg_flags: 0x4000 }
const message = [fd('fd', 7), address('message', A), flags('flags', 0x4000)]
const messageFields = { fd: 7, addr: A, len: 1, msg_flags: 0x4000 }
const socket = [int32('domain', 2), int32('type', 1), int32('protocol', 6)]
const socketFields = { opcode: abi.IORING_OP_SOCKET, fd: 2, off: 1, len: 6 }
const accept = [fd('fd', 7), address('address', A), address('addressLength', B), flags('flags', 0x80000)]
const acceptFields = { opcode: abi.IORING_OP_ACCEPT, fd: 7, addr: A, addr2: B, accept_flags: 0x80000 }
const twoPaths = [fd('oldDirFd', 7), address('oldPath', A), fd('newDirFd', -100), address('newPath', B)]
const twoPathsFields = { fd: 7, addr: A, len: 0xffff_ff9c, addr2: B }
const opening = [address('path', A), flags('flags', 0o102), uint32('mode', 0o644)]
const openingFields = { opcode: abi.IORING_OP_OPENAT, addr: A, open_flags: 0o102, len: 0o644 }
const futex = [
  address('futex', A),
  uint64('value', 5),
  uint64('mask', 0xffff_ffff),
  flags('futexFlags', 0x82),
  flags('flags', 1),
]
const futexFields = { fd: 0x82, addr: A, off: 5, addr3: 0xffff_ffff, futex_flags: 1 }
const data = [uint32('dataLow', 0x8000_0001), uint32('dataHigh', 0xffff_fffe), flags('flags', 1)]
const DATA = 0xffff_fffe_8000_0001n
const option = [
  fd('fd', 7),
  int32('level', 1),
  int32('optionName', 9),
  address('optionValue', A),
  int32('optionLength', 4),
]
const optionFields = { opcode: abi.IORING_OP_URING_CMD, fd: 7, level: 1, optname: 9, optval: A, optlen: 4 }
const userData = [uint32('userDataLow', 0x8000_0001), uint32('userDataHigh', 0xffff_fffe)]

export const prepCases: readonly PrepCase[] = [
  { prep: 'prepNop', args: [], fields: { opcode: abi.IORING_OP_NOP, fd: -1 } },
  {
    prep: 'prepNopResult',
    args: [int32('result', -5), flags('flags', 0x21)],
    fields: { opcode: abi.IORING_OP_NOP, fd: -1, len: 0xffff_fffb, nop_flags: 0x21 },
  },
  { prep: 'prepNop128', args: [], fields: { opcode: abi.IORING_OP_NOP128, fd: -1 } },

  { prep: 'prepRead', args: transfer, fields: { opcode: abi.IORING_OP_READ, ...transferFields } },
  { prep: 'prepWrite', args: transfer, fields: { opcode: abi.IORING_OP_WRITE, ...transferFields } },
  { prep: 'prepReadv', args: vectored, fields: { opcode: abi.IORING_OP_READV, ...vectoredFields } },
  { prep: 'prepWritev', args: vectored, fields: { opcode: abi.IORING_OP_WRITEV, ...vectoredFields } },
  {
    prep: 'prepReadv2',
    args: [...vectored, flags('flags', 8)],
    fields: { opcode: abi.IORING_OP_READV, ...vectoredFields, rw_flags: 8 },
  },
  {
    prep: 'prepWritev2',
    args: [...vectored, flags('flags', 2)],
    fields: { opcode: abi.IORING_OP_WRITEV, ...vectoredFields, rw_flags: 2 },
  },
  {
    prep: 'prepReadFixed',
    args: [...transfer, uint16('bufferIndex', 0xfffe)],
    fields: { opcode: abi.IORING_OP_READ_FIXED, ...transferFields, buf_index: 0xfffe },
  },
  {
    prep: 'prepWriteFixed',
    args: [...transfer, uint16('bufferIndex', 0xfffe)],
    fields: { opcode: abi.IORING_OP_WRITE_FIXED, ...transferFields, buf_index: 0xfffe },
  },
  {
    prep: 'prepReadvFixed',
    args: [...vectored, flags('flags', 8), uint16('bufferIndex', 9)],
    fields: { opcode: abi.IORING_OP_READV_FIXED, ...vectoredFields, rw_flags: 8, buf_index: 9 },
  },
  {
    prep: 'prepWritevFixed',
    args: [...vectored, flags('flags', 2), uint16('bufferIndex', 9)],
    fields: { opcode: abi.IORING_OP_WRITEV_FIXED, ...vectoredFields, rw_flags: 2, buf_index: 9 },
  },
  {
    prep: 'prepReadMultishot',
    args: [fd('fd', 7), uint32('length', 0), offset('offset', -1), uint16('bufferGroup', 65535)],
    fields: {
      opcode: abi.IORING_OP_READ_MULTISHOT,
      flags: abi.IOSQE_BUFFER_SELECT,
      fd: 7,
      off: -1,
      buf_group: 65535,
    },
  },

  {
    prep: 'prepFsync',
    args: [fd('fd', 7), flags('flags', 1)],
    fields: { opcode: abi.IORING_OP_FSYNC, fd: 7, fsync_flags: 1 },
  },
  {
    prep: 'prepSyncFileRange',
    args: [fd('fd', 7), uint32('length', 4096), uint64('offset', OFFSET), flags('flags', 7)],
    fields: { opcode: abi.IORING_OP_SYNC_FILE_RANGE, fd: 7, len: 4096, off: OFFSET, sync_range_flags: 7 },
  },
  {
    prep: 'prepFallocate',
    args: [fd('fd', 7), flags('mode', 3), uint64('offset', OFFSET), uint64('length', 2 ** 33)],
    fields: { opcode: abi.IORING_OP_FALLOCATE, fd: 7, len: 3, off: OFFSET, addr: 2 ** 33 },
  },
  {
    prep: 'prepFtruncate',
    args: [fd('fd', 7), uint64('length', OFFSET)],
    fields: { opcode: abi.IORING_OP_FTRUNCATE, fd: 7, off: OFFSET },
  },
  {
    prep: 'prepFadvise',
    args: [fd('fd', 7), uint64('offset', OFFSET), uint32('length', 0xffff_f000), uint32('advice', 4)],
    fields: { opcode: abi.IORING_OP_FADVISE, fd: 7, off: OFFSET, len: 0xffff_f000, fadvise_advice: 4 },
  },
  {
    prep: 'prepFadvise64',
    args: [fd('fd', 7), uint64('offset', OFFSET), uint64('length', 2 ** 34), uint32('advice', 4)],
    fields: { opcode: abi.IORING_OP_FADVISE, fd: 7, off: OFFSET, addr: 2 ** 34, fadvise_advice: 4 },
  },
  {
    prep: 'prepMadvise',
    args: [address('address', A), uint32('length', 0xffff_f000), uint32('advice', 4)],
    fields: { opcode: abi.IORING_OP_MADVISE, fd: -1, addr: A, len: 0xffff_f000, fadvise_advice: 4 },
  },
  {
    prep: 'prepMadvise64',
    args: [address('address', A), uint64('length', 2 ** 34), uint32('advice', 4)],
    fields: { opcode: abi.IORING_OP_MADVISE, fd: -1, addr: A, off: 2 ** 34, fadvise_advice: 4 },
  },

  { prep: 'prepOpenat', args: [fd('dirFd', 7), ...opening], fields: { ...openingFields, fd: 7 } },
  { prep: 'prepOpen', args: opening, fields: { ...openingFields, fd: AT_FDCWD } },
  {
    prep: 'prepOpenatDirect',
    args: [fd('dirFd', 7), ...opening, fileIndex('fileIndex', 41)],
    fields: { ...openingFields, fd: 7, file_index: 42 },
  },
  {
    prep: 'prepOpenDirect',
    args: [...opening, fileIndex('fileIndex', ALLOC)],
    fields: { ...openingFields, fd: AT_FDCWD, file_index: ALLOC },
  },
  {
    prep: 'prepOpenat2',
    args: [fd('dirFd', 7), address('path', A), address('how', B)],
    fields: { opcode: abi.IORING_OP_OPENAT2, fd: 7, addr: A, addr2: B, len: 24 },
  },
  {
    prep: 'prepOpenat2Direct',
    args: [fd('dirFd', 7), address('path', A), address('how', B), fileIndex('fileIndex', 0)],
    fields: { opcode: abi.IORING_OP_OPENAT2, fd: 7, addr: A, addr2: B, len: 24, file_index: 1 },
  },
  { prep: 'prepClose', args: [fd('fd', 7)], fields: { opcode: abi.IORING_OP_CLOSE, fd: 7 } },
  {
    prep: 'prepCloseDirect',
    args: [fileIndex('fileIndex', 6)],
    fields: { opcode: abi.IORING_OP_CLOSE, fd: 0, file_index: 7 },
  },
  {
    prep: 'prepFilesUpdate',
    args: [address('fds', A), uint32('count', 3), uint32('offset', 5)],
    fields: { opcode: abi.IORING_OP_FILES_UPDATE, fd: -1, addr: A, len: 3, off: 5 },
  },
  {
    prep: 'prepFixedFdInstall',
    args: [int32('fileIndex', 5), flags('flags', 1)],
    fields: {
      opcode: abi.IORING_OP_FIXED_FD_INSTALL,
      flags: abi.IOSQE_FIXED_FILE,
      fd: 5,
      install_fd_flags: 1,
    },
  },

  {
    prep: 'prepStatx',
    args: [
      fd('dirFd', 7),
      address('path', A),
      flags('flags', 0x100),
      flags('mask', 0x8000_0fff),
      address('result', B),
    ],
    fields: {
      opcode: abi.IORING_OP_STATX,
      fd: 7,
      addr: A,
      statx_flags: 0x100,
      len: 0x8000_0fff,
      addr2: B,
    },
  },
  {
    prep: 'prepUnlinkat',
    args: [fd('dirFd', 7), address('path', A), flags('flags', 0x200)],
    fields: { opcode: abi.IORING_OP_UNLINKAT, fd: 7, addr: A, unlink_flags: 0x200 },
  },
  {
    prep: 'prepUnlink',
    args: [address('path', A), flags('flags', 0x200)],
    fields: { opcode: abi.IORING_OP_UNLINKAT, fd: AT_FDCWD, addr: A, unlink_flags: 0x200 },
  },
  {
    prep: 'prepRenameat',
    args: [...twoPaths, flags('flags', 2)],
    fields: { opcode: abi.IORING_OP_RENAMEAT, ...twoPathsFields, rename_flags: 2 },
  },
  {
    prep: 'prepRename',
    args: [address('oldPath', A), address('newPath', B)],
    fields: { opcode: abi.IORING_OP_RENAMEAT, ...twoPathsFields, fd: AT_FDCWD },
  },
  {
    prep: 'prepMkdirat',
    args: [fd('dirFd', 7), address('path', A), uint32('mode', 0o755)],
    fields: { opcode: abi.IORING_OP_MKDIRAT, fd: 7, addr: A, len: 0o755 },
  },
  {
    prep: 'prepMkdir',
    args: [address('path', A), uint32('mode', 0o755)],
    fields: { opcode: abi.IORING_OP_MKDIRAT, fd: AT_FDCWD, addr: A, len: 0o755 },
  },
  {
    prep: 'prepSymlinkat',
    args: [address('target', A), fd('newDirFd', 7), address('linkPath', B)],
    fields: { opcode: abi.IORING_OP_SYMLINKAT, fd: 7, addr: A, addr2: B },
  },
  {
    prep: 'prepSymlink',
    args: [address('target', A), address('linkPath', B)],
    fields: { opcode: abi.IORING_OP_SYMLINKAT, fd: AT_FDCWD, addr: A, addr2: B },
  },
  {
    prep: 'prepLinkat',
    args: [...twoPaths, flags('flags', 0x400)],
    fields: { opcode: abi.IORING_OP_LINKAT, ...twoPathsFields, hardlink_flags: 0x400 },
  },
  {
    prep: 'prepLink',
    args: [address('oldPath', A), address('newPath', B), flags('flags', 0x400)],
    fields: { opcode: abi.IORING_OP_LINKAT, ...twoPathsFields, fd: AT_FDCWD, hardlink_flags: 0x400 },
  },

  { prep: 'prepSocket', args: [...socket, flags('flags', 1)], fields: { ...socketFields, rw_flags: 1 } },
  {
    prep: 'prepSocketDirect',
    args: [...socket, fileIndex('fileIndex', 4), flags('flags', 1)],
    fields: { ...socketFields, rw_flags: 1, file_index: 5 },
  },
  {
    prep: 'prepSocketDirectAlloc',
    args: [...socket, flags('flags', 1)],
    fields: { ...socketFields, rw_flags: 1, file_index: ALLOC },
  },
  {
    prep: 'prepBind',
    args: [fd('fd', 7), address('address', A), uint32('addressLength', 110)],
    fields: { opcode: abi.IORING_OP_BIND, fd: 7, addr: A, addr2: 110 },
  },
  {
    prep: 'prepConnect',
    args: [fd('fd', 7), address('address', A), uint32('addressLength', 16)],
    fields: { opcode: abi.IORING_OP_CONNECT, fd: 7, addr: A, off: 16 },
  },
  {
    prep: 'prepListen',
    args: [fd('fd', 7), int32('backlog', 511)],
    fields: { opcode: abi.IORING_OP_LISTEN, fd: 7, len: 511 },
  },
  { prep: 'prepAccept', args: accept, fields: acceptFields },
  {
    prep: 'prepAcceptDirect',
    args: [...accept, fileIndex('fileIndex', 8)],
    fields: { ...acceptFields, file_index: 9 },
  },
  {
    prep: 'prepMultishotAccept',
    args: accept,
    fields: { ...acceptFields, ioprio: abi.IORING_ACCEPT_MULTISHOT },
  },
  {
    prep: 'prepMultishotAcceptDirect',
    args: accept,
    fields: { ...acceptFields, ioprio: abi.IORING_ACCEPT_MULTISHOT, file_index: ALLOC },
  },
  {
    prep: 'prepShutdown',
    args: [fd('fd', 7), uint32('how', 2)],
    fields: { opcode: abi.IORING_OP_SHUTDOWN, fd: 7, len: 2 },
  },

  { prep: 'prepSend', args: sending, fields: { opcode: abi.IORING_OP_SEND, ...sendingFields } },
  {
    prep: 'prepSendto',
    args: [...sending, address('destination', B), uint16('destinationLength', 28)],
    fields: { opcode: abi.IORING_OP_SEND, ...sendingFields, addr2: B, addr_len: 28 },
  },
  {
    prep: 'prepSendSetAddr',
    args: [address('destination', B), uint16('destinationLength', 28)],
    fields: { addr2: B, addr_len: 28 },
  },
  {
    prep: 'prepSendBundle',
    args: [fd('fd', 7), uint32('length', 12), flags('flags', 0x4000)],
    fields: {
      opcode: abi.IORING_OP_SEND,
      ioprio: abi.IORING_RECVSEND_BUNDLE,
      fd: 7,
      len: 12,
      msg_flags: 0x4000,
    },
  },
  {
    prep: 'prepSendZc',
    args: [...sending, uint16('zcFlags', 0x8008)],
    fields: { opcode: abi.IORING_OP_SEND_ZC, ...sendingFields, ioprio: 0x8008 },
  },
  {
    prep: 'prepSendZcFixed',
    args: [...sending, uint16('zcFlags', 8), uint16('bufferIndex', 3)],
    fields: { opcode: abi.IORING_OP_SEND_ZC, ...sendingFields, ioprio: 12, buf_index: 3 },
  },
  { prep: 'prepSendmsg', args: message, fields: { opcode: abi.IORING_OP_SENDMSG, ...messageFields } },
  { prep: 'prepSendmsgZc', args: message, fields: { opcode: abi.IORING_OP_SENDMSG_ZC, ...messageFields } },
  {
    prep: 'prepSendmsgZcFixed',
    args: [...message, uint16('bufferIndex', 3)],
    fields: {
      opcode: abi.IORING_OP_SENDMSG_ZC,
      ...messageFields,
      ioprio: abi.IORING_RECVSEND_FIXED_BUF,
      buf_index: 3,
    },
  },

  { prep: 'prepRecv', args: sending, fields: { opcode: abi.IORING_OP_RECV, ...sendingFields } },
  {
    prep: 'prepRecvMultishot',
    args: sending,
    fields: { opcode: abi.IORING_OP_RECV, ...sendingFields, ioprio: abi.IORING_RECV_MULTISHOT },
  },
  { prep: 'prepRecvmsg', args: message, fields: { opcode: abi.IORING_OP_RECVMSG, ...messageFields } },
  {
    prep: 'prepRecvmsgMultishot',
    args: message,
    fields: { opcode: abi.IORING_OP_RECVMSG, ...messageFields, ioprio: abi.IORING_RECV_MULTISHOT },
  },
  {
    prep: 'prepRecvZc',
    args: [fd('fd', 7), uint32('length', 4096), uint32('interfaceQueue', 2)],
    fields: {
      opcode: abi.IORING_OP_RECV_ZC,
      ioprio: abi.IORING_RECV_MULTISHOT,
      fd: 7,
      len: 4096,
      zcrx_ifq_idx: 2,
    },
  },

  {
    prep: 'prepPollAdd',
    args: [fd('fd', 7), flags('pollMask', 0x8000_0001)],
    fields: { opcode: abi.IORING_OP_POLL_ADD, fd: 7, poll32_events: 0x8000_0001 },
  },
  {
    prep: 'prepPollMultishot',
    args: [fd('fd', 7), flags('pollMask', 1 | (1 << 31))],
    fields: { opcode: abi.IORING_OP_POLL_ADD, fd: 7, poll32_events: 0x8000_0001, len: 1 },
  },
  {
    prep: 'prepPollRemove',
    args: userData,
    fields: { opcode: abi.IORING_OP_POLL_REMOVE, fd: -1, addr: DATA },
  },
  {
    prep: 'prepPollUpdate',
    args: [
      uint32('oldUserDataLow', 0x8000_0001),
      uint32('oldUserDataHigh', 0xffff_fffe),
      uint32('newUserDataLow', 3),
      uint32('newUserDataHigh', 4),
      flags('pollMask', 5),
      flags('flags', 6),
    ],
    fields: {
      opcode: abi.IORING_OP_POLL_REMOVE,
      fd: -1,
      addr: DATA,
      off: 0x4_0000_0003,
      poll32_events: 5,
      len: 6,
    },
  },
  {
    prep: 'prepEpollCtl',
    args: [fd('epollFd', 7), fd('fd', 8), uint32('op', 1), address('event', A)],
    fields: { opcode: abi.IORING_OP_EPOLL_CTL, fd: 7, off: 8, len: 1, addr: A },
  },
  {
    prep: 'prepEpollWait',
    args: [fd('fd', 7), address('events', A), uint32('maxEvents', 16), flags('flags', 1)],
    fields: { opcode: abi.IORING_OP_EPOLL_WAIT, fd: 7, addr: A, len: 16, rw_flags: 1 },
  },

  {
    prep: 'prepTimeout',
    args: [address('time', A), uint32('count', 0xffff_fff0), flags('flags', 0x44)],
    fields: { opcode: abi.IORING_OP_TIMEOUT, fd: -1, addr: A, len: 1, off: 0xffff_fff0, timeout_flags: 0x44 },
  },
  {
    prep: 'prepTimeoutRemove',
    args: [...userData, flags('flags', 1)],
    fields: { opcode: abi.IORING_OP_TIMEOUT_REMOVE, fd: -1, addr: DATA, timeout_flags: 1 },
  },
  {
    prep: 'prepTimeoutUpdate',
    args: [address('time', A), ...userData, flags('flags', 0x10)],
    fields: { opcode: abi.IORING_OP_TIMEOUT_REMOVE, fd: -1, addr: DATA, addr2: A, timeout_flags: 0x12 },
  },
  {
    prep: 'prepLinkTimeout',
    args: [address('time', A), flags('flags', 1)],
    fields: { opcode: abi.IORING_OP_LINK_TIMEOUT, fd: -1, addr: A, len: 1, timeout_flags: 1 },
  },

  {
    prep: 'prepCancel64',
    args: [...userData, flags('flags', 1)],
    fields: { opcode: abi.IORING_OP_ASYNC_CANCEL, fd: -1, addr: DATA, cancel_flags: 1 },
  },
  {
    prep: 'prepCancel',
    args: [...userData, flags('flags', 1)],
    fields: { opcode: abi.IORING_OP_ASYNC_CANCEL, fd: -1, addr: DATA, cancel_flags: 1 },
  },
  {
    prep: 'prepCancelFd',
    args: [fd('fd', 7), flags('flags', 1)],
    fields: { opcode: abi.IORING_OP_ASYNC_CANCEL, fd: 7, cancel_flags: 3 },
  },
  {
    prep: 'prepCancelOp',
    args: [uint32('opcode', 22), flags('flags', 1)],
    fields: { opcode: abi.IORING_OP_ASYNC_CANCEL, fd: -1, len: 22, cancel_flags: 0x21 },
  },

  {
    prep: 'prepPipe',
    args: [address('fds', A), flags('flags', 0x80000)],
    fields: { opcode: abi.IORING_OP_PIPE, fd: 0, addr: A, pipe_flags: 0x80000 },
  },
  {
    prep: 'prepPipeDirect',
    args: [address('fds', A), flags('flags', 0x800), fileIndex('fileIndex', 2)],
    fields: { opcode: abi.IORING_OP_PIPE, fd: 0, addr: A, pipe_flags: 0x800, file_index: 3 },
  },
  {
    prep: 'prepSplice',
    args: [
      fd('fdIn', 7),
      offset('offsetIn', OFFSET),
      fd('fdOut', 8),
      offset('offsetOut', -1),
      uint32('length', 65536),
      flags('flags', abi.SPLICE_F_FD_IN_FIXED | 1),
    ],
    fields: {
      opcode: abi.IORING_OP_SPLICE,
      fd: 8,
      off: -1,
      splice_off_in: OFFSET,
      splice_fd_in: 7,
      len: 65536,
      splice_flags: 0x8000_0001,
    },
  },
  {
    prep: 'prepTee',
    args: [fd('fdIn', 7), fd('fdOut', 8), uint32('length', 65536), flags('flags', 2)],
    fields: { opcode: abi.IORING_OP_TEE, fd: 8, splice_fd_in: 7, len: 65536, splice_flags: 2 },
  },

  {
    prep: 'prepProvideBuffers',
    args: [
      address('address', A),
      uint32('length', 4096),
      int32('count', 16),
      uint16('group', 0xfff0),
      uint16('firstId', 0x8000),
    ],
    fields: {
      opcode: abi.IORING_OP_PROVIDE_BUFFERS,
      fd: 16,
      addr: A,
      len: 4096,
      buf_group: 0xfff0,
      off: 0x8000,
    },
  },
  {
    prep: 'prepRemoveBuffers',
    args: [int32('count', 16), uint16('group', 0xfff0)],
    fields: { opcode: abi.IORING_OP_REMOVE_BUFFERS, fd: 16, buf_group: 0xfff0 },
  },

  {
    prep: 'prepMsgRing',
    args: [fd('fd', 7), uint32('length', 0xffff_fffe), ...data],
    fields: { opcode: abi.IORING_OP_MSG_RING, fd: 7, len: 0xffff_fffe, off: DATA, msg_ring_flags: 1 },
  },
  {
    prep: 'prepMsgRingCqeFlags',
    args: [fd('fd', 7), uint32('length', 3), ...data, flags('cqeFlags', 0x8000_0002)],
    fields: {
      opcode: abi.IORING_OP_MSG_RING,
      fd: 7,
      len: 3,
      off: DATA,
      msg_ring_flags: 3,
      file_index: 0x8000_0002,
    },
  },
  {
    prep: 'prepMsgRingFd',
    args: [fd('fd', 7), uint32('sourceIndex', 5), fileIndex('targetIndex', 6), ...data],
    fields: {
      opcode: abi.IORING_OP_MSG_RING,
      fd: 7,
      addr: abi.IORING_MSG_SEND_FD,
      addr3: 5,
      file_index: 7,
      off: DATA,
      msg_ring_flags: 1,
    },
  },
  {
    prep: 'prepMsgRingFdAlloc',
    args: [fd('fd', 7), uint32('sourceIndex', 5), ...data],
    fields: {
      opcode: abi.IORING_OP_MSG_RING,
      fd: 7,
      addr: abi.IORING_MSG_SEND_FD,
      addr3: 5,
      file_index: ALLOC,
      off: DATA,
      msg_ring_flags: 1,
    },
  },

  {
    prep: 'prepGetxattr',
    args: [address('name', A), address('value', B), address('path', C), uint32('length', 64)],
    fields: { opcode: abi.IORING_OP_GETXATTR, fd: 0, addr: A, addr2: B, addr3: C, len: 64 },
  },
  {
    prep: 'prepSetxattr',
    args: [
      address('name', A),
      address('value', B),
      address('path', C),
      flags('flags', 1),
      uint32('length', 64),
    ],
    fields: {
      opcode: abi.IORING_OP_SETXATTR,
      fd: 0,
      addr: A,
      addr2: B,
      addr3: C,
      len: 64,
      xattr_flags: 1,
    },
  },
  {
    prep: 'prepFgetxattr',
    args: [fd('fd', 7), address('name', A), address('value', B), uint32('length', 64)],
    fields: { opcode: abi.IORING_OP_FGETXATTR, fd: 7, addr: A, addr2: B, len: 64 },
  },
  {
    prep: 'prepFsetxattr',
    args: [fd('fd', 7), address('name', A), address('value', B), flags('flags', 2), uint32('length', 64)],
    fields: { opcode: abi.IORING_OP_FSETXATTR, fd: 7, addr: A, addr2: B, len: 64, xattr_flags: 2 },
  },

  {
    prep: 'prepWaitid',
    args: [
      uint32('idType', 1),
      int32('id', 4711),
      address('info', A),
      flags('options', 0x0100_0004),
      flags('flags', 1),
    ],
    fields: {
      opcode: abi.IORING_OP_WAITID,
      fd: 4711,
      len: 1,
      addr2: A,
      file_index: 0x0100_0004,
      waitid_flags: 1,
    },
  },
  { prep: 'prepFutexWake', args: futex, fields: { opcode: abi.IORING_OP_FUTEX_WAKE, ...futexFields } },
  { prep: 'prepFutexWait', args: futex, fields: { opcode: abi.IORING_OP_FUTEX_WAIT, ...futexFields } },
  {
    prep: 'prepFutexWaitv',
    args: [address('futexes', A), uint32('count', 2), flags('flags', 1)],
    fields: { opcode: abi.IORING_OP_FUTEX_WAITV, fd: 0, addr: A, len: 2, futex_flags: 1 },
  },

  {
    prep: 'prepUringCmd',
    args: [flags('command', 0x8012_3456), fd('fd', 7)],
    fields: { opcode: abi.IORING_OP_URING_CMD, fd: 7, cmd_op: 0x8012_3456 },
  },
  {
    prep: 'prepUringCmd128',
    args: [flags('command', 0x8012_3456), fd('fd', 7)],
    fields: { opcode: abi.IORING_OP_URING_CMD128, fd: 7, cmd_op: 0x8012_3456 },
  },
  { prep: 'prepCmdSock', args: [flags('command', 3), ...option], fields: { ...optionFields, cmd_op: 3 } },
  {
    prep: 'prepCmdGetsockopt',
    args: option,
    fields: { ...optionFields, cmd_op: abi.SOCKET_URING_OP_GETSOCKOPT },
  },
  {
    prep: 'prepCmdSetsockopt',
    args: option,
    fields: { ...optionFields, cmd_op: abi.SOCKET_URING_OP_SETSOCKOPT },
  },
  {
    prep: 'prepCmdGetsockname',
    args: [fd('fd', 7), address('address', A), address('addressLength', B), uint32('peer', 1)],
    fields: {
      opcode: abi.IORING_OP_URING_CMD,
      cmd_op: abi.SOCKET_URING_OP_GETSOCKNAME,
      fd: 7,
      addr: A,
      addr3: B,
      optlen: 1,
    },
  },
  {
    prep: 'prepCmdDiscard',
    args: [fd('fd', 7), uint64('offset', OFFSET), uint64('length', 2 ** 35)],
    fields: { opcode: abi.IORING_OP_URING_CMD, cmd_op: 0x1200, fd: 7, addr: OFFSET, addr3: 2 ** 35 },
  },
  {
    prep: 'prepCmdZoneResetAll',
    args: [fd('fd', 7)],
    fields: { opcode: abi.IORING_OP_URING_CMD, cmd_op: 0x1201, fd: 7 },
  },
]
