// Gives up root and registers buffers past RLIMIT_MEMLOCK, which its parent has set. Prints the error as JSON.

import { registerBuffers } from '../../../../src/ring/register/index.js'
import { Ring } from '../../../../src/ring/ring.js'

process.setgid!(65534)
process.setuid!(65534)
using ring = Ring.open({ entries: 8 })
// Little enough for the limit, then too much for it; the refusal leaves nothing registered.
registerBuffers(ring, [new Uint8Array(new ArrayBuffer(4096))])
using other = Ring.open({ entries: 8 })
try {
  registerBuffers(other, [new Uint8Array(new ArrayBuffer(1024 * 1024))])
} catch (error) {
  const { code, errno, syscall, message } = error as Error & { code: string; errno: number; syscall: string }
  console.log(JSON.stringify({ code, errno, syscall, message }))
}
