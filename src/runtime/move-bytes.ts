// Copies between JavaScript memory and driver memory, for data of a worker.

import { addressOf, systemError } from '../ring/index.js'
import { EFAULT } from '../syscalls/errno-values.js'
import { isInFileMapping, liveFileMappings } from '../syscalls/file-mappings.js'
import { kernelCopy } from '../syscalls/kernel-copy.js'

/** @internal Whether the memory is a mapping of a file, which outlives the thread that uses it. */
export function isMappedFile(memory: ArrayBuffer | ArrayBufferView): boolean {
  return liveFileMappings[0] !== 0 && isInFileMapping(addressOf(memory), memory.byteLength)
}

/**
 * @internal Copies `source` into `target`. If either is a mapping of a file, the kernel makes the copy: a
 * load from a file that was cut short would raise SIGBUS here.
 *
 * @throws SystemError EFAULT when the kernel cannot load or store all of it.
 */
export function moveBytes(target: Uint8Array<ArrayBuffer>, source: Uint8Array<ArrayBuffer>, at = 0): void {
  if (liveFileMappings[0] === 0 || !(isMappedFile(source) || isMappedFile(target))) {
    target.set(source, at)
    return
  }
  const { byteLength } = source
  const count = kernelCopy(addressOf(source), addressOf(target, at + byteLength) + at, byteLength)
  if (count < byteLength) throw systemError(EFAULT, 'process_vm_readv')
}
