// Converts addresses between their forms: as in options, as the kernel takes them, as users are shown them.
// Also looks up host names.

import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { addressOf, type SocketAddress } from '../ring/index.js'
import { ifIndexToName, ifNameToIndex } from '../syscalls/libc.js'
import type { Place } from './errors.js'
import type { EndpointAddress } from './socket.js'

/** A name of an interface with the NUL behind it. */
const INTERFACE_NAME_BYTES = 16
const LINK_LOCAL = /^fe[89ab]/i

/** The address of the Unix socket `path`; a NUL in front means a name in the abstract namespace. */
export function unixAddress(path: string): SocketAddress {
  return path.startsWith('\0') ? { family: 'unix', abstract: path.slice(1) } : { family: 'unix', path }
}

/** The index of a network interface; 0, which stands for any, when there is none with that name. */
export function interfaceIndex(name: string): number {
  return /^\d+$/.test(name) ? Number(name) : ifNameToIndex(name)
}

/** The name of the network interface with that index, such as `eth0`; the index itself if there is none. */
export function interfaceName(index: number): string {
  const name = new Uint8Array(new ArrayBuffer(INTERFACE_NAME_BYTES))
  if (!ifIndexToName(index, addressOf(name))) return String(index)
  return Buffer.from(name.subarray(0, name.indexOf(0))).toString()
}

/** The socket address of a numeric IP address. A `%scope` is used with link-local IPv6 addresses only. */
export function ipAddress(address: string, port: number): SocketAddress {
  if (isIP(address) === 4) return { family: 'IPv4', address, port }
  const [bare = '', scope] = address.split('%')
  if (scope === undefined || !LINK_LOCAL.test(bare)) return { family: 'IPv6', address: bare, port }
  return { family: 'IPv6', address: bare, port, scopeId: interfaceIndex(scope) }
}

/** An address as `socket.address()` shows it. */
export function shownAddress(address: SocketAddress | null): EndpointAddress {
  if (address === null || address.family === 'unix') return {}
  return { address: address.address, family: address.family, port: address.port }
}

/** An address as errors name it. */
export function placeOf(address: SocketAddress): Place {
  if (address.family !== 'unix') return { address: address.address, port: address.port }
  return { address: 'abstract' in address ? `\0${String(address.abstract)}` : String(address.path) }
}

/** How to look a host up. */
export interface HostOptions {
  readonly family: 0 | 4 | 6
  readonly hints?: number | undefined
  readonly lookup?: LookupFunction | undefined
  /** Look up all addresses, or only the first. */
  readonly all: boolean
}

/**
 * The addresses of `host` in the order to try them: the two families alternate, beginning with that of the
 * resolver's first address (RFC 8305). Rejects with the error of the lookup, such as `getaddrinfo ENOTFOUND
 * nowhere.invalid`.
 */
export function addressesOf(host: string, options: HostOptions): Promise<string[]> {
  const kind = isIP(host)
  if (kind !== 0) return Promise.resolve([host])
  const resolve = options.lookup ?? lookupByNode
  const { family, hints, all } = options
  return new Promise((done, fail) => {
    const settings: LookupOptions = { family, all, ...(hints !== undefined && { hints }) }
    resolve(host, settings as never, (error, found) => {
      if (error) return fail(error)
      const list = typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found
      const usable = list.filter(({ address }) => isIP(address) !== 0)
      if (usable.length > 0) return done(interleaved(usable))
      const none = new Error(`getaddrinfo ENOTFOUND ${host}`)
      fail(Object.assign(none, { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: host }))
    })
  })
}

const lookupByNode = lookup as LookupFunction

/** Alternates the addresses of the first one's family with those of the other. */
function interleaved(list: readonly LookupAddress[]): string[] {
  const first = list.filter(({ family }) => family === list[0]!.family)
  const second = list.filter(({ family }) => family !== list[0]!.family)
  const mixed: string[] = []
  for (let index = 0; index < Math.max(first.length, second.length); index++) {
    if (first[index]) mixed.push(first[index]!.address)
    if (second[index]) mixed.push(second[index]!.address)
  }
  return mixed
}
