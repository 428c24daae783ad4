// Gives up root, makes pipes until a new one is small, and then copies through a pipe. Prints one JSON object.

import { O_CLOEXEC } from '../../../src/syscalls/abi/index.js'
import { copyThroughPipe } from '../../../src/syscalls/kernel-copy.js'
import { fcntl, pipe2 } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'

const F_SETPIPE_SZ = 1031
const F_GETPIPE_SZ = 1032
const MIB = 1 << 20

if (process.getuid!() === 0) {
  process.setgid!(65534)
  process.setuid!(65534)
}

const ends = new Int32Array(2)
let pipeBytes = 65536
for (let count = 0; count < 400 && pipeBytes === 65536; count++) {
  if (pipe2(addressOf(ends), O_CLOEXEC) < 0) break
  pipeBytes = fcntl(ends[0]!, F_GETPIPE_SZ, 0)
  // Large ones use up sooner what the user may have.
  fcntl(ends[0]!, F_SETPIPE_SZ, MIB)
}

const from = Buffer.from(Array.from({ length: 200_001 }, (_, index) => index % 251))
const into = Buffer.alloc(from.length)
const copied = copyThroughPipe(addressOf(from), addressOf(into), from.length)
console.log(JSON.stringify({ pipeBytes, copied, isEqual: into.equals(from) }))
