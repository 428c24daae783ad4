// Calls the user's handler with each connection. When a handler fails, only its own connection is destroyed.

import { throwLater } from '../runtime/throw-later.js'
import type { AnyHandler } from './backend.js'
import type { ServerOptions } from './server.js'
import type { Lease, Socket } from './socket.js'

type AnySocket = Socket<Buffer> | Socket<Lease>

/**
 * Calls `handler` with a connection. If it throws or rejects, the connection is destroyed and the error
 * reported. Errors of the connection itself are not reported: every server has those.
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

/** The error of a write to a connection that was destroyed without one, as at its server's deadline. */
function isDestroyedError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ERR_STREAM_DESTROYED'
}

/** Passes an error to `onError`; without that, throws it as an uncaught exception. */
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
