// Writes that leave out blocks of zeros: the output has holes there.

import type { Fd } from '../ring/index.js'
import { type DataPath, writeAll } from './data-path.js'

/** The unit that file systems can leave out. */
const BLOCK_BYTES = 4096

const ZEROS = Buffer.alloc(BLOCK_BYTES)

function isZero(bytes: Uint8Array): boolean {
  // Most blocks that are not all zeros have another byte at an end.
  if (bytes[0] !== 0 || bytes[bytes.byteLength - 1] !== 0) return false
  return ZEROS.compare(bytes, 0, bytes.byteLength, 0, bytes.byteLength) === 0
}

/** @internal Writes all of `data` but the whole blocks of zeros in it. The file's length must be set afterwards. */
export async function writeSparse(
  path: DataPath,
  fd: Fd,
  data: Uint8Array<ArrayBuffer>,
  position: number,
): Promise<void> {
  const end = data.byteLength
  let dataStart = -1
  for (let at = 0; at < end; ) {
    const next = Math.min(end, at + BLOCK_BYTES - ((position + at) % BLOCK_BYTES))
    const isHole = next - at === BLOCK_BYTES && isZero(data.subarray(at, next))
    if (!isHole && dataStart < 0) dataStart = at
    if (isHole && dataStart >= 0) {
      await writeAll(path, fd, data.subarray(dataStart, at), position + dataStart)
      dataStart = -1
    }
    at = next
  }
  if (dataStart >= 0) await writeAll(path, fd, data.subarray(dataStart, end), position + dataStart)
}
