// Constants of sockets: families, types, protocols, options, message flags.

// socket(2): domain.
export const AF_UNSPEC = 0
export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10

// socket(2): type, with two flags that may be added to it.
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_SEQPACKET = 5

export const SOCK_NONBLOCK = 0x800
export const SOCK_CLOEXEC = 0x8_0000

// socket(2): protocol; setsockopt(2): level.
export const IPPROTO_IP = 0
export const IPPROTO_TCP = 6
export const IPPROTO_UDP = 17
export const IPPROTO_IPV6 = 41
export const SOL_SOCKET = 1

// Options at SOL_SOCKET, socket(7).
export const SO_DEBUG = 1
export const SO_REUSEADDR = 2
export const SO_TYPE = 3
export const SO_ERROR = 4
export const SO_BROADCAST = 6
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_KEEPALIVE = 9
export const SO_OOBINLINE = 10
export const SO_LINGER = 13
export const SO_REUSEPORT = 15
export const SO_RCVLOWAT = 18
export const SO_RCVTIMEO = 20
export const SO_SNDTIMEO = 21
export const SO_ACCEPTCONN = 30
export const SO_PROTOCOL = 38
export const SO_DOMAIN = 39
export const SO_ZEROCOPY = 60
export const SO_BUSY_POLL = 46
export const SO_INCOMING_NAPI_ID = 56
export const SO_PEERCRED = 17

// Options at IPPROTO_TCP, tcp(7).
export const TCP_NODELAY = 1
export const TCP_MAXSEG = 2
export const TCP_CORK = 3
export const TCP_KEEPIDLE = 4
export const TCP_KEEPINTVL = 5
export const TCP_KEEPCNT = 6
export const TCP_SYNCNT = 7
export const TCP_DEFER_ACCEPT = 9
export const TCP_INFO = 11
export const TCP_QUICKACK = 12
export const TCP_USER_TIMEOUT = 18
export const TCP_FASTOPEN = 23

// Options at IPPROTO_IP, ip(7).
export const IP_TTL = 2
export const IP_MULTICAST_IF = 32
export const IP_MULTICAST_TTL = 33
export const IP_MULTICAST_LOOP = 34
export const IP_ADD_MEMBERSHIP = 35
export const IP_DROP_MEMBERSHIP = 36
export const IP_ADD_SOURCE_MEMBERSHIP = 39
export const IP_DROP_SOURCE_MEMBERSHIP = 40

// Options at IPPROTO_IP and IPPROTO_IPV6, RFC 3678.
export const MCAST_JOIN_SOURCE_GROUP = 46
export const MCAST_LEAVE_SOURCE_GROUP = 47

// Options at IPPROTO_IPV6, ipv6(7).
export const IPV6_UNICAST_HOPS = 16
export const IPV6_MULTICAST_IF = 17
export const IPV6_MULTICAST_HOPS = 18
export const IPV6_MULTICAST_LOOP = 19
export const IPV6_ADD_MEMBERSHIP = 20
export const IPV6_DROP_MEMBERSHIP = 21
export const IPV6_V6ONLY = 26

// shutdown(2): how.
export const SHUT_RD = 0
export const SHUT_WR = 1
export const SHUT_RDWR = 2

// listen(2): the longest backlog, unless net.core.somaxconn says otherwise.
export const SOMAXCONN = 4096

// send(2) and recv(2): flags.
export const MSG_OOB = 0x1
export const MSG_PEEK = 0x2
export const MSG_DONTROUTE = 0x4
export const MSG_CTRUNC = 0x8
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_EOR = 0x80
export const MSG_WAITALL = 0x100
export const MSG_NOSIGNAL = 0x4000
export const MSG_MORE = 0x8000
export const MSG_ERRQUEUE = 0x2000
export const MSG_CMSG_CLOEXEC = 0x4000_0000
export const MSG_ZEROCOPY = 0x400_0000
export const MSG_FASTOPEN = 0x2000_0000
export const MSG_WAITFORONE = 0x1_0000

// cmsghdr.cmsg_type at SOL_SOCKET.
export const SCM_RIGHTS = 1
export const SCM_CREDENTIALS = 2
