// Errors of connections, shaped and worded like node:net's.

import { constants } from 'node:os'
import { errnoMessage, errnoName } from '../syscalls/errno.js'

const ETIMEDOUT: number = -constants.errno.ETIMEDOUT

/** A failed call on a socket, in the shape of node:net's error: message and members both have the address. */
export interface NetError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
  readonly address?: string
  readonly port?: number
}

/** The address that a call was for. */
export interface Place {
  readonly address: string
  readonly port?: number | undefined
}

function coded<E extends Error>(error: E, code: string): E {
  return Object.assign(error, { code })
}

function placeText({ address, port }: Place): string {
  return port === undefined ? address : `${address}:${port}`
}

/** `connect ECONNREFUSED 127.0.0.1:80`. @param errno - Negated. */
export function netError(errno: number, syscall: string, place?: Place, local?: Place): NetError {
  const code = errnoName(errno)
  let message = `${syscall} ${code}`
  if (place !== undefined) message += ` ${placeText(place)}`
  if (local !== undefined) message += ` - Local (${placeText(local)})`
  const error = new Error(message)
  return Object.assign(error, {
    errno,
    code,
    syscall,
    ...(place !== undefined && { address: place.address }),
    ...(place?.port !== undefined && { port: place.port }),
  })
}

/** `listen EADDRINUSE: address already in use 127.0.0.1:80`: node:net words this error differently. */
export function listenError(errno: number, place: Place): NetError {
  const error = netError(errno, 'listen', place)
  error.message = `listen ${error.code}: ${errnoMessage(errno)} ${placeText(place)}`
  return error
}

/** No connection within the time that was given. */
export function timedOut(syscall: string, place?: Place): NetError {
  return netError(ETIMEDOUT, syscall, place)
}

/** `write` after `end()`. */
export function writeAfterEnd(): Error {
  return coded(new Error('write after end'), 'ERR_STREAM_WRITE_AFTER_END')
}

/** `write` after the end of the peer has also ended our side. */
export function endedByPeer(): Error {
  return coded(new Error('This socket has been ended by the other party'), 'EPIPE')
}

/** A call on a connection that was destroyed. */
export function socketDestroyed(method: string): Error {
  return coded(new Error(`Cannot call ${method} after a stream was destroyed`), 'ERR_STREAM_DESTROYED')
}

/** A rejection that may go unhandled: the connection reports its error, too. */
export function refusal(error: Error): Promise<never> {
  const refused = Promise.reject(error)
  refused.catch(() => {})
  return refused
}

/** `close()` of a server that does not listen. */
export function notRunning(): Error {
  return coded(new Error('Server is not running.'), 'ERR_SERVER_NOT_RUNNING')
}

/** A second `listen()`. */
export function alreadyListening(): Error {
  const message = 'Listen method has been called more than once without closing.'
  return coded(new Error(message), 'ERR_SERVER_ALREADY_LISTEN')
}

/** The error of connecting to several addresses when none answers, in the shape of node:net's. */
export function allFailed(errors: readonly Error[]): Error {
  if (errors.length === 1) return errors[0]!
  const { code } = errors[0] as NetError
  return coded(new AggregateError(errors), code)
}
