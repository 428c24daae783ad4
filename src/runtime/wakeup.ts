// How the ring wakes Node's event loop: an eventfd that the ring signals, watched by libuv.
//
// Public API is enough. A net.Socket is made over the read end of a fresh pipe. In the same turn, before
// libuv has polled that descriptor, dup3(2) replaces it by the eventfd: libuv then polls and drains the
// eventfd. koffi's own poll handle looks simpler, but aborts the process when it fires while a worker is torn
// down (docs/decisions/wakeup.md).

import { Socket, type SocketConstructorOpts } from 'node:net'
import { addressOf, checkResult } from '../ring/index.js'
import { closeNoted, noteGone, noteHeld } from '../syscalls/descriptor-notes.js'
import { dup3, eventfd, pipe2 } from '../syscalls/libc.js'

const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000
const O_CLOEXEC = 0o2000000
const O_NONBLOCK = 0o4000

export class Wakeup {
  /** The eventfd to register with the ring. */
  readonly fd: number
  readonly #socket: Socket
  #closed = false

  /** @param onWake - Called in the poll phase of the event loop after the eventfd was signalled. */
  constructor(onWake: () => void) {
    const pair = new Int32Array(2)
    checkResult(pipe2(addressOf(pair), O_NONBLOCK | O_CLOEXEC), 'pipe2')
    const [readEnd, writeEnd] = [pair[0]!, pair[1]!]
    noteHeld(readEnd)
    noteHeld(writeEnd)
    let efd = -1
    let socket: Socket | null = null
    try {
      efd = checkResult(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 'eventfd')
      noteHeld(efd)
      // Longer than the counter's 8 bytes: with a full buffer libuv would read once more, for nothing.
      const counter = new Uint8Array(16)
      const callback = (): boolean => {
        onWake()
        return true
      }
      // `onread` is documented for `net.connect` and works for every Socket; the type declarations know the former.
      const options = { fd: readEnd, readable: true, writable: false, onread: { buffer: counter, callback } }
      // From here on the socket owns readEnd and closes it.
      noteGone(readEnd)
      socket = new Socket(options as SocketConstructorOpts)
      socket.on('error', () => {})
      checkResult(dup3(efd, readEnd, O_CLOEXEC), 'dup3')
      socket.unref()
    } catch (error) {
      if (socket === null) closeNoted(readEnd)
      else socket.destroy()
      if (efd >= 0) closeNoted(efd)
      throw error
    } finally {
      closeNoted(writeEnd)
    }
    this.fd = efd
    this.#socket = socket
  }

  /** Keeps the process alive. */
  ref(): void {
    this.#socket.ref()
  }

  /** Lets the process end. */
  unref(): void {
    this.#socket.unref()
  }

  /** A second call does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.destroy()
    closeNoted(this.fd)
  }
}
