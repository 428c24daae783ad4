// Has a seccomp filter answer io_uring_setup(2) with the errno given as argument, as container runtimes do, and prints
// the error that Ring.open then throws.

import koffi from 'koffi'
import { Ring } from '../../../src/ring/ring.js'
import { addressOf } from '../../../src/syscalls/memory.js'

const SYS_IO_URING_SETUP = 425
const PR_SET_SECCOMP = 22
const PR_SET_NO_NEW_PRIVS = 38
const SECCOMP_MODE_FILTER = 2
const SECCOMP_RET_ERRNO = 0x5_0000
const SECCOMP_RET_ALLOW = 0x7fff_0000

/** Four instructions of struct sock_filter: code, jt, jf, k. */
function filterFor(systemCall: number, errno: number): ArrayBuffer {
  const instructions = [
    [0x20, 0, 0, 0], // load the number of the system call
    [0x15, 0, 1, systemCall], // not this one: skip the next
    [0x06, 0, 0, SECCOMP_RET_ERRNO | errno],
    [0x06, 0, 0, SECCOMP_RET_ALLOW],
  ] as const
  const view = new DataView(new ArrayBuffer(instructions.length * 8))
  instructions.forEach(([code, ifTrue, ifFalse, operand], index) => {
    view.setUint16(index * 8, code, true)
    view.setUint8(index * 8 + 2, ifTrue)
    view.setUint8(index * 8 + 3, ifFalse)
    view.setUint32(index * 8 + 4, operand, true)
  })
  return view.buffer
}

const filter = filterFor(SYS_IO_URING_SETUP, Number(process.argv[2]))
const program = new DataView(new ArrayBuffer(16))
program.setUint16(0, filter.byteLength / 8, true)
program.setBigUint64(8, BigInt(addressOf(filter)), true)

const libc = koffi.load(process.arch === 'x64' || process.arch === 'arm64' ? 'libc.so.6' : 'libc.so')
const prctl = libc.func('prctl', 'int', ['int', 'ulong', 'uintptr_t', 'ulong', 'ulong'])
if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw new Error('PR_SET_NO_NEW_PRIVS failed')
if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, addressOf(program), 0, 0) !== 0)
  throw new Error('PR_SET_SECCOMP failed')

try {
  Ring.open({ entries: 4 }).close()
  console.log('{}')
} catch (error) {
  const { name, code, errno, syscall, message } = error as Error & {
    code: string
    errno: number
    syscall: string
  }
  console.log(JSON.stringify({ name, code, errno, syscall, message }))
}
