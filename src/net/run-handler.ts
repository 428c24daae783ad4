// Calls what the user gave for each connection, so that one that fails takes its own connection with it and nothing else.

import { throwLater } from '../runtime/throw-later.js'
import type { AnyHandler } from './backend.js'
import type { ServerOptions } from './server.js'
import type { Lease, Socket } from './socket.js'

type AnySocket = Socket<Buffer> | Socket<Lease>

/**
 * Calls `handler` with a connection. What it throws or rejects with destroys the connection and is reported, unless it is
 * the error of the connection itself: those come with the trade.
 *
 * @param onError - Where to report; without it, as an uncaught exception.
 */
export function runHandler(
  handler: AnyHandler,
  socket: AnySocket,
  onError: ServerOptions['onError'] | undefined,
): void {
  let result: unknown
  try {
    result = (handler as (socket: AnySocket) => unknown)(socket)
  } catch (error) {
    failed(error, socket, onError)
    return
  }
  if (typeof (result as PromiseLike<unknown> | null)?.then === 'function') {
    ;(result as PromiseLike<unknown>).then(undefined, (error: unknown) => failed(error, socket, onError))
  }
}

function failed(error: unknown, socket: AnySocket, onError: ServerOptions['onError'] | undefined): void {
  const isItsOwn =
    socket.error === null ? socket.destroyed && isDestroyedError(error) : error === socket.error
  socket.destroy(isItsOwn || !(error instanceof Error) ? undefined : error)
  if (!isItsOwn) report(error, socket, onError)
}

/** What a write comes to on a connection that was destroyed without an error, such as at the deadline of its server. */
function isDestroyedError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ERR_STREAM_DESTROYED'
}

/** Hands an error to the user, or throws it where nobody catches it. */
export function report(
  error: unknown,
  socket: AnySocket | null,
  onError: ServerOptions['onError'] | undefined,
): void {
  if (onError === undefined) throwLater(error)
  else {
    try {
      onError(error, socket)
    } catch (thrown) {
      throwLater(thrown)
    }
  }
}
