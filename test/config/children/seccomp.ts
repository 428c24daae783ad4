// A seccomp filter for this thread that answers the three io_uring system calls with an errno, as container runtimes do.

import koffi from 'koffi'

const F_SETFD = 2
const PR_SET_NO_NEW_PRIVS = 38
const PR_SET_SECCOMP = 22
const SECCOMP_MODE_FILTER = 2
const SECCOMP_RET_ALLOW = 0x7fff_0000
const SECCOMP_RET_ERRNO = 0x0005_0000

// Classic BPF: load a word, jump if equal, jump if greater or equal, return.
const LOAD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const RETURN = 0x06

/** Offsets in struct seccomp_data. */
const NUMBER_AT = 0
const ARCHITECTURE_AT = 4

const ARCHITECTURE = process.arch === 'arm64' ? 0xc000_00b7 : 0xc000_003e
const FIRST_URING_CALL = 425
const LAST_URING_CALL = 427

/** glibc, or musl's one file. */
function libc(): string {
  const musl = `/lib/ld-musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`
  return ['libc.so.6', musl].find(loads)!
}

function prctl(...args: (number | bigint)[]): number {
  const call = koffi
    .load(libc())
    .func('prctl', 'int', ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t'])
  return (call as unknown as (...args: (number | bigint)[]) => number)(...args)
}

function loads(name: string): boolean {
  try {
    koffi.load(name)
    return true
  } catch {
    return false
  }
}

/**
 * Starts this program again in place of this process, under the filter from its first moment. A Node that has rings of
 * its own (22 and later) would end where they are taken away in mid-flight.
 *
 * @see execve(2)
 */
export function restart(environment: NodeJS.ProcessEnv): never {
  const library = koffi.load(libc())
  const fcntl = library.func('fcntl', 'int', ['int', 'int', 'long']) as unknown as (
    ...args: number[]
  ) => number
  // Node has its standard streams close on exec.
  for (const fd of [0, 1, 2]) fcntl(fd, F_SETFD, 0)
  const call = library.func('execve', 'int', ['str', 'str *', 'str *'])
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1), null]
  const pairs = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  ;(call as unknown as (path: string, argv: unknown, env: unknown) => number)(process.execPath, argv, [
    ...pairs,
    null,
  ])
  throw new Error('execve refused')
}

/** @see prctl(2) */
export function setNoNewPrivileges(): void {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw new Error('PR_SET_NO_NEW_PRIVS refused')
}

/** From here on every io_uring call of this thread fails with `errno`, a positive number. @see seccomp(2) */
export function refuseUring(errno: number): void {
  setNoNewPrivileges()
  // [code, jump if true, jump if false, operand]; jumps count the instructions they skip.
  const program: [number, number, number, number][] = [
    [LOAD, 0, 0, ARCHITECTURE_AT],
    [JUMP_EQUAL, 0, 4, ARCHITECTURE],
    [LOAD, 0, 0, NUMBER_AT],
    [JUMP_AT_LEAST, 0, 2, FIRST_URING_CALL],
    [JUMP_AT_LEAST, 1, 0, LAST_URING_CALL + 1],
    [RETURN, 0, 0, SECCOMP_RET_ERRNO | errno],
    [RETURN, 0, 0, SECCOMP_RET_ALLOW],
  ]
  const code = new DataView(new ArrayBuffer(program.length * 8))
  program.forEach(([operation, ifTrue, ifFalse, operand], index) => {
    code.setUint16(index * 8, operation, true)
    code.setUint8(index * 8 + 2, ifTrue)
    code.setUint8(index * 8 + 3, ifFalse)
    code.setUint32(index * 8 + 4, operand, true)
  })
  // struct sock_fprog: the number of instructions, then a pointer to them.
  const head = new DataView(new ArrayBuffer(16))
  head.setUint16(0, program.length, true)
  head.setBigUint64(8, BigInt(koffi.address(code.buffer)), true)
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, BigInt(koffi.address(head.buffer)), 0, 0) !== 0) {
    throw new Error('the seccomp filter was refused')
  }
}
