// Checks options before anything is opened. Where node:net has the option, the error has node:net's code.

import { isIP } from 'node:net'
import { Uring } from '../runtime/index.js'
import {
  checkBoolean,
  checkInteger,
  checkMembers,
  checkSignal,
  invalidType,
  invalidValue,
} from '../syscalls/argument-errors.js'
import type { ConnectOptions } from './connect-options.js'
import type { CloseOptions, ListenOptions, ServerOptions } from './server.js'
import type { FileRange, SocketSettings, SocketSink } from './socket.js'

/** Default of `highWaterMark`, in bytes. */
export const DEFAULT_HIGH_WATER_MARK = 65536

/** The longest time that a Node timer takes. */
const MAX_MS = 0x7fff_ffff
const MAX_FD = 0x7fff_ffff

const SETTINGS = [
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'allowHalfOpen',
  'highWaterMark',
  'chunks',
] as const
const SERVER = [
  ...SETTINGS,
  'onError',
  'maxConnections',
  'workers',
  'distribution',
  'workerData',
  'uring',
] as const
const LISTEN = [
  'port',
  'host',
  'path',
  'backlog',
  'reusePort',
  'exclusive',
  'ipv6Only',
  'fd',
  'readableAll',
  'writableAll',
  'signal',
] as const
const CONNECT = [
  ...SETTINGS,
  'port',
  'host',
  'path',
  'fd',
  'localAddress',
  'localPort',
  'family',
  'hints',
  'lookup',
  'autoSelectFamily',
  'autoSelectFamilyAttemptTimeout',
  'timeoutMs',
  'signal',
  'uring',
] as const

function checkBooleans(options: object, names: readonly string[]): void {
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name]
    if (value !== undefined) checkBoolean(`options.${name}`, value)
  }
}

function checkString(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') throw invalidType(name, 'of type string', value)
}

function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw invalidType(name, 'of type function', value)
}

function checkOneOf(name: string, value: unknown, allowed: readonly unknown[]): void {
  if (value === undefined || allowed.includes(value)) return
  const list = allowed.map((one) => (typeof one === 'string' ? `'${one}'` : String(one)))
  throw invalidValue(name, value, `must be one of: ${list.join(', ')}`)
}

function checkPort(name: string, port: unknown): void {
  if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port < 65536) return
  if (typeof port !== 'number' && typeof port !== 'string') throw invalidType(name, 'of type number', port)
  const received = typeof port === 'number' ? `type number (${port})` : `type string ('${port}')`
  const error = new RangeError(`${name} should be >= 0 and < 65536. Received ${received}.`)
  throw Object.assign(error, { code: 'ERR_SOCKET_BAD_PORT' })
}

function checkPath(path: unknown): void {
  checkString('options.path', path)
  if (typeof path !== 'string') return
  if (path === '') throw invalidValue('options.path', path, 'must not be empty')
  if (path.indexOf('\0', 1) > 0)
    throw invalidValue('options.path', path, 'must have a null byte in front alone')
  const bytes = Buffer.byteLength(path)
  if (bytes > 107) throw invalidValue('options.path', path, 'must be at most 107 bytes long')
}

function checkUring(uring: unknown): void {
  if (uring !== undefined && !(uring instanceof Uring)) {
    throw invalidType('options.uring', 'an instance of Uring', uring)
  }
}

function checkSettings(options: SocketSettings): void {
  checkBooleans(options, ['noDelay', 'keepAlive', 'allowHalfOpen'])
  const { keepAliveInitialDelay, highWaterMark, chunks } = options
  if (keepAliveInitialDelay !== undefined) {
    checkInteger('options.keepAliveInitialDelay', keepAliveInitialDelay, 0, MAX_MS)
  }
  if (highWaterMark !== undefined) checkInteger('options.highWaterMark', highWaterMark, 1, MAX_FD)
  checkOneOf('options.chunks', chunks, ['copy', 'lease'])
}

/** @throws TypeError, RangeError. */
export function checkServerOptions(options: ServerOptions): void {
  checkMembers('options', options, SERVER)
  checkSettings(options)
  const { onError, maxConnections, workers, distribution, uring } = options
  checkFunction('options.onError', onError)
  if (maxConnections !== undefined) checkInteger('options.maxConnections', maxConnections, 0, MAX_FD)
  if (workers !== undefined) checkInteger('options.workers', workers, 0, 1024)
  checkOneOf('options.distribution', distribution, ['message', 'reusePort'])
  checkUring(uring)
}

/** @throws TypeError, RangeError `ERR_SOCKET_BAD_PORT`. */
export function checkListenOptions(options: ListenOptions): void {
  checkMembers('options', options, LISTEN)
  const { port, host, path, backlog, fd, signal } = options
  if (port !== undefined) checkPort('options.port', port)
  checkString('options.host', host)
  checkPath(path)
  if (fd !== undefined) checkInteger('options.fd', fd, 0, MAX_FD)
  if (port === undefined && path === undefined && fd === undefined) {
    throw invalidValue('options', options, 'must have the property "port" or "path"')
  }
  if (backlog !== undefined) checkInteger('options.backlog', backlog, 0, MAX_FD)
  checkBooleans(options, ['reusePort', 'exclusive', 'ipv6Only', 'readableAll', 'writableAll'])
  checkSignal(signal)
}

/** @throws TypeError; `ERR_MISSING_ARGS` without a place to connect to; RangeError `ERR_SOCKET_BAD_PORT`. */
export function checkConnectOptions(options: ConnectOptions): void {
  checkMembers('options', options, CONNECT)
  checkSettings(options)
  const { port, host, path, fd, localAddress, localPort, family, lookup, signal, uring } = options
  checkPath(path)
  if (fd !== undefined) checkInteger('options.fd', fd, 0, MAX_FD)
  if (path === undefined && fd === undefined && port === undefined) {
    const error = new TypeError('The "options" or "port" or "path" argument must be specified')
    throw Object.assign(error, { code: 'ERR_MISSING_ARGS' })
  }
  if (port !== undefined) checkPort('options.port', port)
  checkString('options.host', host)
  if (localAddress !== undefined && isIP(localAddress) === 0) {
    const error = new TypeError(`Invalid IP address: ${localAddress}`)
    throw Object.assign(error, { code: 'ERR_INVALID_IP_ADDRESS' })
  }
  if (localPort !== undefined) checkPort('options.localPort', localPort)
  checkOneOf('options.family', family, [0, 4, 6])
  checkFunction('options.lookup', lookup)
  if (options.hints !== undefined) checkInteger('options.hints', options.hints, 0, MAX_FD)
  checkBooleans(options, ['autoSelectFamily'])
  for (const name of ['autoSelectFamilyAttemptTimeout', 'timeoutMs'] as const) {
    const value = options[name]
    if (value !== undefined) checkInteger(`options.${name}`, value, 0, MAX_MS)
  }
  checkSignal(signal)
  checkUring(uring)
}

/** @throws TypeError, RangeError. */
export function checkCloseOptions(options: CloseOptions): void {
  checkMembers('options', options, ['deadlineMs'])
  if (options.deadlineMs !== undefined) checkInteger('options.deadlineMs', options.deadlineMs, 0, MAX_MS)
}

/** @throws TypeError, RangeError. */
export function checkTimeout(timeoutMs: number, onTimeout: unknown): void {
  checkInteger('timeoutMs', timeoutMs, 0, MAX_MS)
  checkFunction('onTimeout', onTimeout)
}

/** @throws TypeError. */
export function checkSink(sink: SocketSink): void {
  if (typeof sink !== 'object' || sink === null) throw invalidType('sink', 'of type object', sink)
  for (const name of ['onData', 'onEnd', 'onClose'] as const) {
    if (typeof sink[name] !== 'function') throw invalidType(`sink.${name}`, 'of type function', sink[name])
  }
}

/** @throws TypeError, RangeError. */
export function checkFileRange(range: FileRange): void {
  checkMembers('options', range, ['offset', 'length', 'signal'])
  const { offset, length, signal } = range
  if (offset !== undefined) checkInteger('options.offset', offset, 0, Number.MAX_SAFE_INTEGER)
  if (length !== undefined) checkInteger('options.length', length, 0, Number.MAX_SAFE_INTEGER)
  checkSignal(signal)
}
