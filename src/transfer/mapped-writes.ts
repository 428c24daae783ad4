// How a range of a mapped basis gets into the output: by write(2) on a thread of libuv's pool, or by a ring with SQPOLL
// from pages that are pinned meanwhile.

import { prepWrite } from '../ring/index.js'
import type { Uring } from '../runtime/index.js'
import { writeFromMapping } from './data-path.js'
import type { MappedWrite } from './output-assembler.js'

/** @internal The page faults happen on a thread of the pool. */
export const writeByPool: MappedWrite = (basis, offset, fd, position, length) =>
  writeFromMapping(fd, basis.addressAt(offset, length), length, position)

/**
 * @internal Writes through a ring that may use SQPOLL. The pages stay pinned until the CQE. Where they cannot
 *   be pinned, the pool writes the range.
 */
export function pinnedWriter(uring: Uring): MappedWrite {
  return async (basis, offset, fd, position, length) => {
    const outcome = basis.pin(offset, length)
    if (!outcome.pinned) return writeByPool(basis, offset, fd, position, length)
    try {
      const address = basis.addressAt(offset, length)
      return await uring.driver.submit((sqe) => prepWrite(sqe, fd, address, length, position), {
        syscall: 'write',
        memory: basis,
      })
    } finally {
      outcome.window.release()
    }
  }
}
