// Flags of memory calls.

// mmap(2): prot.
export const PROT_NONE = 0x0
export const PROT_READ = 0x1
export const PROT_WRITE = 0x2
export const PROT_EXEC = 0x4

// mmap(2): flags.
export const MAP_SHARED = 0x1
export const MAP_PRIVATE = 0x2
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20
export const MAP_POPULATE = 0x8000
export const MAP_HUGETLB = 0x4_0000
export const MAP_NORESERVE = 0x4000
export const MAP_SHARED_VALIDATE = 0x3

// madvise(2): advice.
export const MADV_NORMAL = 0
export const MADV_RANDOM = 1
export const MADV_SEQUENTIAL = 2
export const MADV_WILLNEED = 3
export const MADV_DONTNEED = 4
export const MADV_DONTFORK = 10
// Linux 5.14: fault the pages in, for reading or for writing.
export const MADV_POPULATE_READ = 22
export const MADV_POPULATE_WRITE = 23
