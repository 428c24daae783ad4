// Flags of file system calls, which the io_uring operations of the same name take as they are.

import { constants } from 'node:fs'

// openat(2): flags.
export const O_RDONLY = 0x0
export const O_WRONLY = 0x1
export const O_RDWR = 0x2
export const O_ACCMODE = 0x3
export const O_CREAT = 0x40
export const O_EXCL = 0x80
export const O_NOCTTY = 0x100
export const O_TRUNC = 0x200
export const O_APPEND = 0x400
export const O_NONBLOCK = 0x800
export const O_DSYNC = 0x1000
export const O_NOATIME = 0x4_0000
export const O_CLOEXEC = 0x8_0000
export const O_SYNC = 0x10_1000
export const O_PATH = 0x20_0000

// These differ between x64 and arm64, so they come from Node. Outside Linux Node lacks some of them: the 0
// keeps this file loadable there.
export const O_DIRECT = constants.O_DIRECT ?? 0
export const O_DIRECTORY = constants.O_DIRECTORY ?? 0
export const O_NOFOLLOW = constants.O_NOFOLLOW ?? 0
export const O_TMPFILE = 0x40_0000 | O_DIRECTORY
// Implied on every 64-bit target, so the C library defines it as nothing; the kernel's own bit differs by architecture.
export const O_LARGEFILE = 0

// Directory descriptor of a relative path: the working directory.
export const AT_FDCWD = -100

// The *at() calls: flags. The same value means different things to different calls.
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_SYMLINK_FOLLOW = 0x400
export const AT_REMOVEDIR = 0x200
export const AT_EMPTY_PATH = 0x1000
export const AT_NO_AUTOMOUNT = 0x800
export const AT_EACCESS = 0x200

// statx(2): flags.
export const AT_STATX_SYNC_AS_STAT = 0x0
export const AT_STATX_FORCE_SYNC = 0x2000
export const AT_STATX_DONT_SYNC = 0x4000

// statx(2): mask.
export const STATX_TYPE = 0x1
export const STATX_MODE = 0x2
export const STATX_NLINK = 0x4
export const STATX_UID = 0x8
export const STATX_GID = 0x10
export const STATX_ATIME = 0x20
export const STATX_MTIME = 0x40
export const STATX_CTIME = 0x80
export const STATX_INO = 0x100
export const STATX_SIZE = 0x200
export const STATX_BLOCKS = 0x400
export const STATX_BASIC_STATS = 0x7ff
export const STATX_BTIME = 0x800
export const STATX_MNT_ID = 0x1000
export const STATX_DIOALIGN = 0x2000
export const STATX_ALL = 0xfff

// statx.stx_attributes.
export const STATX_ATTR_COMPRESSED = 0x4
export const STATX_ATTR_IMMUTABLE = 0x10
export const STATX_ATTR_APPEND = 0x20
export const STATX_ATTR_NODUMP = 0x40
export const STATX_ATTR_ENCRYPTED = 0x800
export const STATX_ATTR_MOUNT_ROOT = 0x2000
export const STATX_ATTR_VERITY = 0x10_0000
export const STATX_ATTR_DAX = 0x20_0000

// open_how.resolve.
export const RESOLVE_NO_XDEV = 0x1
export const RESOLVE_NO_MAGICLINKS = 0x2
export const RESOLVE_NO_SYMLINKS = 0x4
export const RESOLVE_BENEATH = 0x8
export const RESOLVE_IN_ROOT = 0x10
export const RESOLVE_CACHED = 0x20

// renameat2(2): flags.
export const RENAME_NOREPLACE = 0x1
export const RENAME_EXCHANGE = 0x2
export const RENAME_WHITEOUT = 0x4

// setxattr(2): flags.
export const XATTR_CREATE = 0x1
export const XATTR_REPLACE = 0x2

// fallocate(2): mode.
export const FALLOC_FL_KEEP_SIZE = 0x1
export const FALLOC_FL_PUNCH_HOLE = 0x2
export const FALLOC_FL_COLLAPSE_RANGE = 0x8
export const FALLOC_FL_ZERO_RANGE = 0x10
export const FALLOC_FL_INSERT_RANGE = 0x20
export const FALLOC_FL_UNSHARE_RANGE = 0x40

// posix_fadvise(2): advice.
export const POSIX_FADV_NORMAL = 0
export const POSIX_FADV_RANDOM = 1
export const POSIX_FADV_SEQUENTIAL = 2
export const POSIX_FADV_WILLNEED = 3
export const POSIX_FADV_DONTNEED = 4
export const POSIX_FADV_NOREUSE = 5

// sync_file_range(2): flags.
export const SYNC_FILE_RANGE_WAIT_BEFORE = 0x1
export const SYNC_FILE_RANGE_WRITE = 0x2
export const SYNC_FILE_RANGE_WAIT_AFTER = 0x4

// splice(2): flags.
export const SPLICE_F_MOVE = 0x1
export const SPLICE_F_NONBLOCK = 0x2
export const SPLICE_F_MORE = 0x4
export const SPLICE_F_GIFT = 0x8

// preadv2(2): flags.
export const RWF_HIPRI = 0x1
export const RWF_DSYNC = 0x2
export const RWF_SYNC = 0x4
export const RWF_NOWAIT = 0x8
export const RWF_APPEND = 0x10

// The type bits of a file mode, inode(7).
export const S_IFMT = 0xf000
export const S_IFSOCK = 0xc000
export const S_IFLNK = 0xa000
export const S_IFREG = 0x8000
export const S_IFBLK = 0x6000
export const S_IFDIR = 0x4000
export const S_IFCHR = 0x2000
export const S_IFIFO = 0x1000

// fcntl(2): commands, and the one descriptor flag.
export const F_GETFL = 3
export const F_SETFL = 4
export const F_GETFD = 1
export const F_SETFD = 2
export const FD_CLOEXEC = 1
export const F_DUPFD_CLOEXEC = 1030
export const F_GETPIPE_SZ = 1032
export const F_SETPIPE_SZ = 1031
