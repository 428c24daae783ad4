// Events and commands of poll(2) and epoll(7), and the flags of eventfd(2).

// pollfd.events and revents.
export const POLLIN = 0x1
export const POLLPRI = 0x2
export const POLLOUT = 0x4
export const POLLERR = 0x8
export const POLLHUP = 0x10
export const POLLNVAL = 0x20
export const POLLRDNORM = 0x40
export const POLLRDBAND = 0x80
export const POLLWRNORM = 0x100
export const POLLWRBAND = 0x200
export const POLLMSG = 0x400
export const POLLRDHUP = 0x2000

// epoll_event.events.
export const EPOLLIN = 0x1
export const EPOLLPRI = 0x2
export const EPOLLOUT = 0x4
export const EPOLLERR = 0x8
export const EPOLLHUP = 0x10
export const EPOLLRDHUP = 0x2000
export const EPOLLEXCLUSIVE = 0x1000_0000
export const EPOLLWAKEUP = 0x2000_0000
export const EPOLLONESHOT = 0x4000_0000
export const EPOLLET = 0x8000_0000

// epoll_ctl(2): operation.
export const EPOLL_CTL_ADD = 1
export const EPOLL_CTL_DEL = 2
export const EPOLL_CTL_MOD = 3

// epoll_create1(2): flags.
export const EPOLL_CLOEXEC = 0x8_0000

// eventfd(2): flags.
export const EFD_CLOEXEC = 0x8_0000
export const EFD_NONBLOCK = 0x800
export const EFD_SEMAPHORE = 0x1
