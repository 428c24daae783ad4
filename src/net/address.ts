// Addresses between their forms: what options say, what the kernel takes, what users are shown.

import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { SocketAddress } from '../ring/index.js'
import type { Place } from './errors.js'
import type { EndpointAddress } from './socket.js'

const LINK_LOCAL = /^fe[89ab]/i

/** The address of a Unix socket for `path`: with a NUL in front, a name in the abstract namespace. */
export function unixAddress(path: string): SocketAddress {
  return path.startsWith('\0') ? { family: 'unix', abstract: path.slice(1) } : { family: 'unix', path }
}

/** The index of a network interface; 0, which the system takes for "any", when there is none of that name. */
export function interfaceIndex(name: string): number {
  if (/^\d+$/.test(name)) return Number(name)
  for (const address of networkInterfaces()[name] ?? []) {
    if (address.family === 'IPv6' && address.scopeid !== 0) return address.scopeid
  }
  return 0
}

/** `eth0` for the index of a network interface; the index itself where it has no name here. */
export function interfaceName(index: number): string {
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (addresses.some((address) => address.family === 'IPv6' && address.scopeid === index)) return name
  }
  return String(index)
}

/** `address` in numbers, an IPv6 one with `%scope` if need be. */
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
  /** All addresses, or the first alone. */
  readonly all: boolean
}

/**
 * The addresses of `host` in the order to try them: IPv6 and IPv4 by turns, as the resolver has put them first (RFC 8305).
 * Rejects with what the lookup failed with, such as `getaddrinfo ENOTFOUND nowhere.invalid`.
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

/** The first family's addresses and the other's by turns. */
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
