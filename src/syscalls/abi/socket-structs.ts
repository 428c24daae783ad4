// Layouts of socket addresses and messages. Ports and IPv4 addresses inside them are in network byte order.

import { defineStruct } from '../struct.js'

/** sys/socket.h. The head that all addresses share. */
export const SOCKADDR = defineStruct('sockaddr', 16, {
  sa_family: [0, 'u16'],
  sa_data: [2, 'i8', 14],
})

/** sys/socket.h. Room for any address. */
export const SOCKADDR_STORAGE = defineStruct('sockaddr_storage', 128, {
  ss_family: [0, 'u16'],
  __ss_padding: [2, 'i8', 118],
  __ss_align: [120, 'u64'],
})

/** netinet/in.h. ip(7). */
export const SOCKADDR_IN = defineStruct('sockaddr_in', 16, {
  sin_family: [0, 'u16'],
  sin_port: [2, 'u16'],
  'sin_addr.s_addr': [4, 'u32'],
  sin_zero: [8, 'u8', 8],
})

/** netinet/in.h. ipv6(7). */
export const SOCKADDR_IN6 = defineStruct('sockaddr_in6', 28, {
  sin6_family: [0, 'u16'],
  sin6_port: [2, 'u16'],
  sin6_flowinfo: [4, 'u32'],
  'sin6_addr.__in6_u.__u6_addr8': [8, 'u8', 16],
  'sin6_addr.__in6_u.__u6_addr16': [8, 'u16', 8],
  'sin6_addr.__in6_u.__u6_addr32': [8, 'u32', 4],
  sin6_scope_id: [24, 'u32'],
})

/** sys/un.h. unix(7). */
export const SOCKADDR_UN = defineStruct('sockaddr_un', 110, {
  sun_family: [0, 'u16'],
  sun_path: [2, 'i8', 108],
})

/** netinet/in.h. */
export const IN_ADDR = defineStruct('in_addr', 4, {
  s_addr: [0, 'u32'],
})

/** netinet/in.h. */
export const IN6_ADDR = defineStruct('in6_addr', 16, {
  '__in6_u.__u6_addr8': [0, 'u8', 16],
  '__in6_u.__u6_addr16': [0, 'u16', 8],
  '__in6_u.__u6_addr32': [0, 'u32', 4],
})

/** sys/socket.h. sendmsg(2) and recvmsg(2). */
export const MSGHDR = defineStruct('msghdr', 56, {
  msg_name: [0, 'u64'],
  msg_namelen: [8, 'u32'],
  msg_iov: [16, 'u64'],
  msg_iovlen: [24, 'u64'],
  msg_control: [32, 'u64'],
  msg_controllen: [40, 'u64'],
  msg_flags: [48, 'i32'],
})

/** sys/socket.h. cmsg(3). */
export const CMSGHDR = defineStruct('cmsghdr', 16, {
  cmsg_len: [0, 'u64'],
  cmsg_level: [8, 'i32'],
  cmsg_type: [12, 'i32'],
  __cmsg_data: [16, 'u8', 0],
})

/** sys/socket.h. SO_PEERCRED and SCM_CREDENTIALS, unix(7). */
export const UCRED = defineStruct('ucred', 12, {
  pid: [0, 'i32'],
  uid: [4, 'u32'],
  gid: [8, 'u32'],
})

/** sys/socket.h. SO_LINGER, socket(7). */
export const LINGER = defineStruct('linger', 8, {
  l_onoff: [0, 'i32'],
  l_linger: [4, 'i32'],
})
