// What the kernel has for a socket, asked of its descriptor, which is found among those of this process.

import { readdirSync } from 'node:fs'
import { localName, peerName } from '../../src/net/descriptor.js'
import { getsockopt } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { succeeded } from '../plain-sockets.js'

/** The descriptor of the socket with these ports; a `remotePort` of null is for one that is not connected. */
export function descriptorOf(localPort: number, remotePort: number | null = null): number {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name)
    if (portOf(localName(fd)) === localPort && portOf(peerName(fd)) === remotePort) return fd
  }
  throw new Error(`no socket from port ${localPort} to port ${remotePort}`)
}

function portOf(address: unknown): number | null {
  return (address as { port?: number } | null)?.port ?? null
}

/** The value of an option, as far as it is a number. */
export function optionOf(fd: number, level: number, name: number): number {
  const value = new Int32Array(new ArrayBuffer(4))
  const length = Int32Array.from([4])
  succeeded('getsockopt', getsockopt(fd, level, name, addressOf(value), addressOf(length)))
  // The kernel gives back a byte for some options of multicast.
  return value[0]!
}
