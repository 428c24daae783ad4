// What concerns the ring as a whole: chains of operations, the memory and the files it holds, messages to other rings.

import { registerPersonality, unregisterPersonality } from '../../ring/index.js'
import { BufferGroup, type BufferGroupOptions } from '../buffer-group.js'
import { type ChainOptions, type LinkedOperations, type Outcomes, submitLinked } from '../chain.js'
import { FileTable, type FileTableOptions } from '../fixed-files.js'
import {
  Mailbox,
  type OutgoingRingMessage,
  type RingEndpoint,
  RingMessages,
  sendRingMessage,
} from '../messages.js'
import { BufferPool, type BufferPoolOptions } from '../registered-buffers.js'
import type { OperationOptions } from './base.js'
import { MultishotOperations } from './multishot.js'

/** Operations on the ring as a whole, on top of those of the classes that it extends. */
export abstract class RingOperations extends MultishotOperations {
  #fileTable: FileTable | null = null
  #mailbox: Mailbox | null = null

  /**
   * Links operations: each starts when the one before it has succeeded, and all go to the kernel in one system call.
   * `build` issues them on its argument, which has the methods of this ring, and returns their promises in order:
   *
   * ```ts
   * const [written, synced] = await uring.chain((op) => [op.write(fd, data, { offset: 0 }), op.fdatasync(fd)])
   * ```
   *
   * Resolves to the outcome of every member, as `Promise.allSettled` does, once all are over. A member that
   * fails ends the chain: those after it reject with ECANCELED. A short read or write also ends it, and is
   * itself fulfilled with its count; a short send or receive ends it only with MSG_WAITALL. An entry that the
   * kernel cannot accept at all (EINVAL) cancels those before it as well. A member's `timeoutMs` limits that
   * member (a linked timeout), from when it starts; `signal: AbortSignal.timeout(ms)` limits the chain. Linux
   * 5.3; `hard` 5.5.
   *
   * On a ring whose SQPOLL thread serves other rings too, chains of more than eight entries may be torn apart.
   *
   * @throws (rejects) RangeError `ERR_OUT_OF_RANGE` for a chain that is empty or longer than the submission queue,
   *   AbortError when a signal is aborted already, what a member's method throws; nothing has been submitted then.
   * @see io_uring_linked_requests(7)
   */
  chain<Promises extends readonly Promise<unknown>[]>(
    build: (operations: LinkedOperations) => readonly [...Promises],
    options: ChainOptions = {},
  ): Promise<Outcomes<Promises>> {
    return submitLinked<Promises>(this, build, options)
  }

  /**
   * Provides buffers for `recvMultishot` and its like. Linux 5.19; by operations on older kernels (5.7).
   *
   * @throws TypeError, RangeError; SystemError `mmap` or `io_uring_register`.
   * @see io_uring_provided_buffers(7)
   */
  createBufferGroup(options: BufferGroupOptions = {}): BufferGroup {
    return new BufferGroup(this.driver, this, options)
  }

  /**
   * Registers buffers to read into and write from: `read(fd, buffer.bytes, { bufferIndex: buffer.index })`. Linux 5.1;
   * more than one pool 5.13.
   *
   * @throws TypeError, RangeError; SystemError `mmap` or `io_uring_register`: ENOMEM (RLIMIT_MEMLOCK).
   * @see io_uring_registered_buffers(7)
   */
  registerBufferPool(options: BufferPoolOptions = {}): BufferPool {
    return new BufferPool(this.driver, this, options)
  }

  /**
   * Registers the ring's table of files; a ring has only one. Before Linux 6.13 this waits, in the kernel,
   * for operations that still use a file of a table that was closed.
   *
   * @throws TypeError, RangeError; SystemError `io_uring_register`: EBUSY (there is one), EMFILE (RLIMIT_NOFILE).
   * @see io_uring_registered_files(7)
   */
  registerFileTable(options: FileTableOptions = {}): FileTable {
    const table = new FileTable(this, options, this.#fileTable)
    this.#fileTable = table
    return table
  }

  /** The table that `registerFileTable` made last, if it is open. */
  get fileTable(): FileTable | null {
    return this.#fileTable?.closed === false ? this.#fileTable : null
  }

  /**
   * Registers the credentials that this thread has now: user, groups, capabilities. Operations take the id as their
   * `personality`, also when the thread has others by then. Linux 5.6.
   *
   * @returns The id, 1 to 65535.
   * @throws SystemError `io_uring_register`: EACCES on a restricted ring; EBADF once the ring is closed.
   * @see io_uring_register_personality(3)
   */
  registerPersonality(): number {
    if (this.driver.closed) throw this.driver.closedError('io_uring_register')
    return registerPersonality(this.driver.ring)
  }

  /**
   * Unregisters credentials. Operations that were issued with them keep them. Linux 5.6.
   *
   * @throws TypeError, RangeError; SystemError `io_uring_register`: EINVAL for an id that is not registered, EBADF once
   *   the ring is closed.
   * @see io_uring_unregister_personality(3)
   */
  unregisterPersonality(id: number): void {
    if (this.driver.closed) throw this.driver.closedError('io_uring_register')
    // Operations of this turn have their credentials from the submit on.
    this.driver.flush()
    unregisterPersonality(this.driver.ring, id)
  }

  /**
   * Where other rings of this process send messages to this one: a plain object to post to another thread.
   * From its first use on, messages are kept until `messages()` takes them, without limit as in a
   * MessagePort.
   *
   * @throws SystemError EBADF once the ring is closed.
   */
  get endpoint(): RingEndpoint {
    return this.#openMailbox().endpoint
  }

  /**
   * The messages that come to `endpoint`. Waiting for one keeps the process alive.
   *
   * @param options - Aborting `signal` rejects the wait with AbortError.
   * @throws Error `ERR_INVALID_STATE` while another iteration is open.
   */
  messages(options: { readonly signal?: AbortSignal | undefined } = {}): RingMessages {
    return new RingMessages(this, this.#openMailbox(), options)
  }

  /**
   * Sends two numbers or a registered file to another ring of this process. Resolves when the message is in
   * that ring's completion queue, which does not mean that it has been read.
   *
   * Rejects with EBADFD when the other ring is closed, ENFILE when its file table is full or missing,
   * EOVERFLOW when the kernel has no memory to queue the message there. Linux 5.18; files 6.2.
   *
   * @see io_uring_prep_msg_ring(3)
   */
  postMessage(
    endpoint: RingEndpoint,
    message: OutgoingRingMessage,
    options: OperationOptions = {},
  ): Promise<void> {
    return sendRingMessage(this, endpoint, message, options)
  }

  #openMailbox(): Mailbox {
    if (this.driver.closed) throw this.driver.closedError('msg_ring')
    this.#mailbox ??= new Mailbox(this.driver, () => this.fileTable)
    return this.#mailbox
  }
}
