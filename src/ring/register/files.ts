// Registered files: a table of open files that the ring holds itself, for operations with `IOSQE_FIXED_FILE` and for
// those that open files straight into it.

import {
  IO_URING_FILE_INDEX_RANGE,
  IO_URING_RSRC_REGISTER,
  IO_URING_RSRC_UPDATE,
  IO_URING_RSRC_UPDATE2,
  IORING_REGISTER_FILE_ALLOC_RANGE,
  IORING_REGISTER_FILES,
  IORING_REGISTER_FILES_SKIP,
  IORING_REGISTER_FILES_UPDATE,
  IORING_REGISTER_FILES_UPDATE2,
  IORING_REGISTER_FILES2,
  IORING_RSRC_REGISTER_SPARSE,
  IORING_UNREGISTER_FILES,
} from '../../syscalls/abi/index.js'
import { checkInteger, checkMembers, invalidValue } from '../../syscalls/argument-errors.js'
import type { Fd } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'
import type { Ring } from '../ring.js'
import {
  callRegister,
  checkDescriptor,
  checkedCopy,
  checkRegister,
  checkTags,
  type Hints,
  ints,
  type Tag,
  words64,
} from './call.js'

/** Slots of a file table; the kernel also bounds it by RLIMIT_NOFILE. */
export const MAX_REGISTERED_FILES = 2 ** 20

const EMPTY_SLOT = -1

/** Options of `registerFiles`. */
export interface RegisterFilesOptions {
  /**
   * One per file, 0 for none. When a tagged file was replaced or unregistered and no operation uses it any more, a CQE
   * comes with the tag as its user_data. Linux 5.13.
   */
  readonly tags?: readonly Tag[] | undefined
}

const HINTS: Hints = {
  EBUSY: 'files are registered already: update them, or unregister them first',
  EBADF: 'one of the descriptors is not open, or cannot be registered (a ring cannot)',
  ENXIO: 'no files are registered',
}

/** Throws unless `given` is an array of valid descriptors. @returns A copy of it. */
function checkFds(given: readonly Fd[], room: number, least: number): readonly Fd[] {
  const fds = checkedCopy('fds', given, room)
  for (let index = 0; index < fds.length; index++) checkDescriptor(`fds[${index}]`, fds[index]!, least)
  return fds
}

function checkFileTags(name: string, tags: readonly Tag[], fds: readonly Fd[]): bigint[] {
  const words = checkTags(name, tags, fds.length)
  for (let index = 0; index < words.length; index++) {
    if (words[index] !== 0n && fds[index]! < 0)
      throw invalidValue(`${name}[${index}]`, tags[index], 'tags a slot without a file')
  }
  return words
}

/**
 * Registers a table of files; the ring must not have one yet. It takes references, so the descriptors may be
 * closed.
 *
 * @param fds - 1 to 2^20, at most RLIMIT_NOFILE; -1 leaves a slot empty.
 * @throws TypeError, RangeError for bad arguments; SystemError `io_uring_register`: EBUSY (there is a table), EBADF,
 *   EMFILE (RLIMIT_NOFILE), EINVAL (an older kernel). Linux 5.1.
 * @see io_uring_register_files(3), io_uring_register_files_tags(3), io_uring_registered_files(7)
 */
export function registerFiles(ring: Ring, fds: readonly Fd[], options: RegisterFilesOptions = {}): void {
  checkMembers('options', options, ['tags'])
  const own = checkFds(fds, MAX_REGISTERED_FILES, EMPTY_SLOT)
  const files = ints(own)
  if (options.tags === undefined) {
    const result = callRegister(ring, IORING_REGISTER_FILES, files, own.length)
    checkRegister(result, IORING_REGISTER_FILES, HINTS)
    return
  }
  const tags = words64(checkFileTags('options.tags', options.tags, own))
  // Each tag comes back as a CQE.
  ring.expectForeignCqes()
  const request = Struct.alloc(IO_URING_RSRC_REGISTER)
  request.assign({ nr: own.length, data: files.address, tags: tags.address })
  const result = callRegister(ring, IORING_REGISTER_FILES2, request, IO_URING_RSRC_REGISTER.size, files, tags)
  checkRegister(result, IORING_REGISTER_FILES2, HINTS)
}

/**
 * Registers a table of `count` empty slots. Linux 5.19.
 *
 * @param count - 1 to 2^20, at most RLIMIT_NOFILE.
 * @throws As `registerFiles`.
 * @see io_uring_register_files_sparse(3)
 */
export function registerFilesSparse(ring: Ring, count: number): void {
  checkInteger('count', count, 1, MAX_REGISTERED_FILES)
  const request = Struct.alloc(IO_URING_RSRC_REGISTER).assign({
    nr: count,
    flags: IORING_RSRC_REGISTER_SPARSE,
  })
  const result = callRegister(ring, IORING_REGISTER_FILES2, request, IO_URING_RSRC_REGISTER.size)
  checkRegister(result, IORING_REGISTER_FILES2, HINTS)
}

/**
 * Replaces registered files from slot `offset` on. Operations in flight go on with the old ones. Linux 5.5.
 *
 * @param offset - The first slot.
 * @param fds - -1 empties a slot; `IORING_REGISTER_FILES_SKIP` (-2) leaves it as it is (Linux 5.12).
 * @returns How many slots were processed: fewer than asked when a later descriptor was refused.
 * @throws TypeError, RangeError; SystemError `io_uring_register`: EBADF when the first descriptor is refused, ENXIO
 *   without a table, EINVAL past its end.
 * @see io_uring_register_files_update(3)
 */
export function registerFilesUpdate(ring: Ring, offset: number, fds: readonly Fd[]): number {
  checkInteger('offset', offset, 0, MAX_REGISTERED_FILES - 1)
  const own = checkFds(fds, MAX_REGISTERED_FILES - offset, IORING_REGISTER_FILES_SKIP)
  const files = ints(own)
  const request = Struct.alloc(IO_URING_RSRC_UPDATE).assign({ offset, data: files.address })
  const result = callRegister(ring, IORING_REGISTER_FILES_UPDATE, request, own.length, files)
  return checkRegister(result, IORING_REGISTER_FILES_UPDATE, HINTS)
}

/**
 * As `registerFilesUpdate`, with tags for the new files. Linux 5.13.
 *
 * @param tags - One per file, 0 for none; see `RegisterFilesOptions`.
 * @see io_uring_register_files_update_tag(3)
 */
export function registerFilesUpdateTag(
  ring: Ring,
  offset: number,
  fds: readonly Fd[],
  tags: readonly Tag[],
): number {
  checkInteger('offset', offset, 0, MAX_REGISTERED_FILES - 1)
  const own = checkFds(fds, MAX_REGISTERED_FILES - offset, IORING_REGISTER_FILES_SKIP)
  const tagWords = words64(checkFileTags('tags', tags, own))
  // Each tag comes back as a CQE.
  ring.expectForeignCqes()
  const files = ints(own)
  const request = Struct.alloc(IO_URING_RSRC_UPDATE2)
  request.assign({ offset, data: files.address, tags: tagWords.address, nr: own.length })
  const opcode = IORING_REGISTER_FILES_UPDATE2
  const result = callRegister(ring, opcode, request, IO_URING_RSRC_UPDATE2.size, files, tagWords)
  return checkRegister(result, opcode, HINTS)
}

/**
 * Removes the table. Operations in flight keep their files. Linux 5.1.
 *
 * @throws SystemError `io_uring_register`: ENXIO when there is no table.
 * @see io_uring_unregister_files(3)
 */
export function unregisterFiles(ring: Ring): void {
  checkRegister(callRegister(ring, IORING_UNREGISTER_FILES, null, 0), IORING_UNREGISTER_FILES, HINTS)
}

/**
 * Sets the range of slots from which the kernel picks one for operations with `IORING_FILE_INDEX_ALLOC`. The
 * other slots are left for explicit use. Linux 6.0.
 *
 * @param offset - The first slot.
 * @param count - Slots.
 * @throws RangeError; SystemError `io_uring_register`: EINVAL past the end of the table, or without one.
 * @see io_uring_register_file_alloc_range(3)
 */
export function registerFileAllocRange(ring: Ring, offset: number, count: number): void {
  checkInteger('offset', offset, 0, 0xffff_ffff)
  checkInteger('count', count, 0, 0xffff_ffff)
  const range = Struct.alloc(IO_URING_FILE_INDEX_RANGE).assign({ off: offset, len: count })
  // The kernel wants a count of 0 here and refuses the manual page's 1.
  const result = callRegister(ring, IORING_REGISTER_FILE_ALLOC_RANGE, range, 0)
  checkRegister(result, IORING_REGISTER_FILE_ALLOC_RANGE, {
    EINVAL: 'the range ends past the table of registered files, or the kernel is older than Linux 6.0',
  })
}
