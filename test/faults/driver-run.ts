// One run of the driver on a faulty kernel. A number of actors work at the same time, each checks its own bytes; at the
// end nothing may be missing: promises, bytes, slots, blocks, leases, descriptors.

import { constants as fsConstants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AF_INET, AF_UNIX, type Fd, type RingOptions, SOCK_STREAM } from '../../src/ring/index.js'
import { close, fcntl } from '../../src/syscalls/libc.js'
import { descriptorCount } from '../descriptors.js'
import { KINDS, Signal, TestRing } from '../runtime/fixture.js'
import { checkDescriptors, inTime } from './bounded-run.js'
import { FaultyKernel, type Rates, someRates } from './faulty-kernel.js'
import { Random } from './random.js'

const RUN_TIMEOUT_MS = 20_000
/** What an operation may answer although nothing is wrong with it: it is tried again. */
const AGAIN: ReadonlySet<string> = new Set(['EINTR', 'EAGAIN', 'ECANCELED', 'ENOMEM', 'ENOBUFS'])
/** What it may answer when the ring is closed under it. */
const CLOSED: ReadonlySet<string> = new Set(['ABORT_ERR', 'EBADF', 'ECANCELED', 'ERR_INVALID_STATE'])
const PATIENCE = 200

const folder = mkdtempSync(join(tmpdir(), 'uring-faults-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** What one run was made of. */
export interface RunReport {
  readonly operations: number
  readonly injected: Readonly<Record<string, number>>
}

class RingClosed extends Error {}

interface Run {
  readonly uring: TestRing
  readonly random: Random
  /** Calls an operation until it gives a result. */
  again<T>(operation: () => Promise<T>): Promise<T>
  track<T>(promise: Promise<T>): Promise<T>
  readonly seed: number
}

type Actor = (run: Run, id: number) => Promise<void>

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? (error as Error).name
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}

/** Byte `at` of a stream or file: its position, mixed, so that lost and doubled bytes do not fit. */
function byteAt(seed: number, at: number): number {
  const mixed = Math.imul(at + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)
  return (mixed ^ (mixed >>> 15)) & 0xff
}

function bytesOf(seed: number, start: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length)
  for (let at = 0; at < length; at++) bytes[at] = byteAt(seed, start + at)
  return bytes
}

function checkBytes(seed: number, start: number, bytes: Uint8Array, where: string): void {
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === byteAt(seed, start + at)) continue
    throw new Error(`${where}: byte ${start + at} is wrong, ${at} of ${bytes.length} read`)
  }
}

const fileActor: Actor = async ({ uring, random, again, seed }, id) => {
  const fd = openSync(join(folder, `${id}`), fsConstants.O_RDWR | fsConstants.O_CREAT | fsConstants.O_TRUNC)
  try {
    const size = random.integer(1, 40_000)
    const content = bytesOf(seed + id, 0, size)
    for (let at = 0; at < size; ) {
      const end = Math.min(size, at + random.integer(1, 9000))
      const part = content.subarray(at, end)
      at += await again(() => uring.write(fd, part, { offset: at }))
    }
    for (let reads = 0; reads < 6; reads++) {
      const buffer = Buffer.allocUnsafeSlow(random.integer(1, 9000))
      const offset = random.integer(0, size)
      const count = await again(() => uring.read(fd, buffer, { offset }))
      check(count > 0 || offset === size, `file: nothing was read at ${offset} of ${size}`)
      checkBytes(seed + id, offset, buffer.subarray(0, count), 'file')
    }
    await again(() => uring.fsync(fd))
  } finally {
    close(fd)
  }
}

async function connectedPair({ uring, again, random }: Run, id: number): Promise<[Fd, Fd]> {
  const path = join(folder, `socket-${id}-${random.integer(0, 1e9)}`)
  const address = { family: 'unix', path } as const
  const listener = await again(() => uring.socket(AF_UNIX, SOCK_STREAM))
  let client = -1
  try {
    await again(() => uring.bind(listener, address))
    await again(() => uring.listen(listener, 8))
    client = await again(() => uring.socket(AF_UNIX, SOCK_STREAM))
    await again(() => uring.connect(client, address))
    const server = await again(() => uring.accept(listener))
    return [client, server]
  } catch (error) {
    if (client >= 0) close(client)
    throw error
  } finally {
    close(listener)
    rmSync(path, { force: true })
  }
}

async function sendStream(run: Run, fd: Fd, seed: number, total: number, zeroCopy: boolean): Promise<void> {
  const { uring, random, again } = run
  for (let at = 0; at < total; ) {
    const part = bytesOf(seed, at, Math.min(total - at, random.integer(1, 6000)))
    const count = await again(() => (zeroCopy ? uring.sendZc(fd, part) : uring.send(fd, part)))
    check(count > 0 && count <= part.length, `send: ${count} of ${part.length}`)
    // Ours again: whatever is sent late is seen to be wrong.
    part.fill(0xee)
    at += count
  }
}

async function receiveStream(
  { uring, random, again }: Run,
  fd: Fd,
  seed: number,
  total: number,
): Promise<void> {
  for (let at = 0; at < total; ) {
    const buffer = Buffer.allocUnsafeSlow(random.integer(1, 6000))
    const count = await again(() => uring.recv(fd, buffer))
    check(count > 0, `recv: the end at ${at} of ${total}`)
    checkBytes(seed, at, buffer.subarray(0, count), 'recv')
    at += count
  }
}

const streamActor: Actor = async (run, id) => {
  const [client, server] = await connectedPair(run, id)
  const total = run.random.integer(1, 30_000)
  const seed = run.seed + id
  try {
    await allOf([sendStream(run, client, seed, total, false), receiveStream(run, server, seed, total)])
  } finally {
    close(client)
    close(server)
  }
}

const multishotActor: Actor = async (run, id) => {
  const { uring, random } = run
  const total = random.integer(1, 30_000)
  const seed = run.seed + id
  const group = uring.createBufferGroup({
    count: random.pick([1, 2, 8, 33]),
    size: random.pick([64, 1000, 4096]),
    incremental: random.chance(0.3),
    byOperations: random.chance(0.2),
  })
  const [client, server] = await connectedPair(run, id).catch((error) => {
    group.close()
    throw error
  })
  const receive = async (): Promise<void> => {
    const held: { release(): void }[] = []
    let at = 0
    try {
      const receiveSome = async (): Promise<void> => {
        const options = { group, highWaterMark: random.integer(1, 20) }
        for await (const lease of uring.recvMultishot(server, options)) {
          checkBytes(seed, at, lease.bytes, 'recvMultishot')
          at += lease.length
          // Some are kept for a while, so that the group runs dry.
          held.push(lease)
          while (held.length > random.integer(0, group.count - 1)) held.shift()!.release()
          if (at === total) return
          if (random.chance(0.1)) await nextTurn()
        }
      }
      // The stream ends with an error; what is tried again is the rest.
      for (let tries = 0; at < total; tries++) {
        await receiveSome().catch((error) => {
          if (!AGAIN.has(codeOf(error)) || tries > 50 * PATIENCE) throw error
          if (uring.driver.closed) throw new RingClosed()
        })
      }
    } finally {
      for (const lease of held) lease.release()
    }
    check(at === total, `recvMultishot: ${at} of ${total} bytes`)
  }
  try {
    await allOf([sendStream(run, client, seed, total, false), receive()])
    check(group.leaseCount === 0, `${group.leaseCount} leases are missing`)
  } finally {
    group.close()
    close(client)
    close(server)
  }
}

const zeroCopyActor: Actor = async (run, id) => {
  const { uring, random, again } = run
  // Over loopback TCP: Unix sockets have no zero copy.
  const listener = await again(() => uring.socket(AF_INET, SOCK_STREAM))
  let client = -1
  let server = -1
  try {
    let port = 0
    for (let tries = 0; port === 0; tries++) {
      const candidate = 20_000 + Math.floor(Math.random() * 12_000)
      try {
        await again(() => uring.bind(listener, { family: 'IPv4', address: '127.0.0.1', port: candidate }))
        port = candidate
      } catch (error) {
        if (codeOf(error) !== 'EADDRINUSE' || tries > 50) throw error
      }
    }
    await again(() => uring.listen(listener, 8))
    client = await again(() => uring.socket(AF_INET, SOCK_STREAM))
    await again(() => uring.connect(client, { family: 'IPv4', address: '127.0.0.1', port }))
    server = await again(() => uring.accept(listener))
    const total = random.integer(1, 30_000)
    const seed = run.seed + id
    await allOf([sendStream(run, client, seed, total, true), receiveStream(run, server, seed, total)])
  } finally {
    for (const fd of [listener, client, server]) if (fd >= 0) close(fd)
  }
}

const acceptActor: Actor = async (run, id) => {
  const { uring, random, again } = run
  const address = { family: 'unix', path: join(folder, `accept-${id}-${random.integer(0, 1e9)}`) } as const
  const listener = await again(() => uring.socket(AF_UNIX, SOCK_STREAM))
  const count = random.integer(1, 12)
  const fds: Fd[] = [listener]
  try {
    await again(() => uring.bind(listener, address))
    await again(() => uring.listen(listener, 64))
    const accept = async (): Promise<void> => {
      let accepted = 0
      const options = { highWaterMark: random.integer(1, 8) }
      for await (const fd of uring.acceptMultishot(listener, options)) {
        fds.push(fd)
        if (++accepted === count) break
      }
      check(accepted === count, `accept: ${accepted} of ${count} connections`)
    }
    const connect = async (): Promise<void> => {
      for (let made = 0; made < count; made++) {
        const fd = await again(() => uring.socket(AF_UNIX, SOCK_STREAM))
        fds.push(fd)
        await again(() => uring.connect(fd, address))
      }
    }
    await allOf([accept(), connect()])
    check(new Set(fds).size === fds.length, 'accept: a descriptor came twice')
  } finally {
    for (const fd of fds) close(fd)
    rmSync(address.path, { force: true })
  }
}

const cancelActor: Actor = async ({ uring, random, track }) => {
  for (let round = random.integer(1, 6); round > 0; round--) {
    using signal = new Signal()
    const buffer = new Uint8Array(new ArrayBuffer(8))
    const abort = random.chance(0.6) ? new AbortController() : null
    const timeoutMs = abort === null || random.chance(0.3) ? random.integer(0, 4) : undefined
    const read = track(uring.read(signal.fd, buffer, { signal: abort?.signal, timeoutMs, length: 8 }))
    const turns = random.integer(0, 4)
    const raises = random.chance(0.3)
    for (let turn = 0; turn < turns; turn++) await nextTurn()
    if (raises) signal.raise()
    abort?.abort()
    try {
      const count = await read
      check(count === 8 || count < 8, 'cancel: a strange count')
    } catch (error) {
      const code = codeOf(error)
      check(
        code === 'ABORT_ERR' ||
          code === 'ETIMEDOUT' ||
          AGAIN.has(code) ||
          (uring.driver.closed && CLOSED.has(code)),
        `cancel: ${code} ${(error as Error).message}`,
      )
      if (uring.driver.closed) throw new RingClosed()
    }
  }
}

const floodActor: Actor = async ({ uring, random, track }) => {
  const promises: Promise<number>[] = []
  for (let count = random.integer(1, 300); count > 0; count--) promises.push(track(uring.nop()))
  for (const result of await Promise.allSettled(promises)) {
    if (result.status === 'rejected') {
      if (uring.driver.closed && CLOSED.has(codeOf(result.reason))) throw new RingClosed()
      throw result.reason
    }
    check(result.value === 0, `nop: ${result.value}`)
  }
}

const chainActor: Actor = async ({ uring, random, seed }, id) => {
  const fd = openSync(
    join(folder, `chain-${id}`),
    fsConstants.O_RDWR | fsConstants.O_CREAT | fsConstants.O_TRUNC,
  )
  try {
    for (let round = 0; round < 4; round++) {
      const data = bytesOf(seed + id + round, 0, random.integer(1, 5000))
      const buffer = Buffer.allocUnsafeSlow(data.length)
      const hard = random.chance(0.5)
      const outcomes = await uring.chain(
        (linked) => [
          linked.write(fd, data, { offset: 0 }),
          linked.fsync(fd),
          linked.read(fd, buffer, { offset: 0 }),
        ],
        { hard },
      )
      if (uring.driver.closed) throw new RingClosed()
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
      checkBytes(seed + id + round, 0, buffer, 'chain')
    }
  } catch (error) {
    if (uring.driver.closed && (CLOSED.has(codeOf(error)) || error instanceof RingClosed))
      throw new RingClosed()
    throw error
  } finally {
    close(fd)
  }
}

const ACTORS: Readonly<Record<string, Actor>> = {
  file: fileActor,
  stream: streamActor,
  multishot: multishotActor,
  zeroCopy: zeroCopyActor,
  accept: acceptActor,
  cancel: cancelActor,
  flood: floodActor,
  chain: chainActor,
}

/** Waits for all, then throws the first error: nobody may be left behind working on what is about to be closed. */
async function allOf(promises: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(promises)).filter((result) => result.status === 'rejected')
  const own = failed.find(({ reason }) => !(reason instanceof RingClosed)) ?? failed[0]
  if (own !== undefined) throw own.reason
}

/**
 * Makes one run.
 *
 * @throws Error that says which property does not hold.
 */
export async function runDriver(seed: number, rates?: Rates): Promise<RunReport> {
  const random = new Random(seed)
  const kernel = new FaultyKernel(new Random(seed ^ 0x5bd1e995), rates ?? someRates(random))
  const before = descriptorCount()
  const kind = random.pick(Object.keys(KINDS))
  const sqEntries = random.pick([4, 8, 64, 256])
  const options: Partial<RingOptions> = {
    flags: KINDS[kind]!,
    entries: sqEntries,
    // Room for more operations than all actors together have that wait for others: what is behind them in line must
    // come to its turn.
    cqEntries: Math.max(32, random.pick([1, 2, 8]) * sqEntries),
  }
  const uring = new TestRing(options, kernel, random.chance(0.3))
  let operations = 0
  let settled = 0
  const track = <T>(promise: Promise<T>): Promise<T> => {
    operations++
    const note = (): void => {
      settled++
    }
    promise.then(note, note)
    return promise
  }
  const again = async <T>(operation: () => Promise<T>): Promise<T> => {
    for (let tries = 0; ; tries++) {
      try {
        return await track(operation())
      } catch (error) {
        const code = codeOf(error)
        if (uring.driver.closed && CLOSED.has(code)) throw new RingClosed()
        if (!AGAIN.has(code) || tries === PATIENCE) throw error
      }
    }
  }
  const run: Run = { uring, random, again, track, seed }
  const names = Array.from({ length: random.integer(1, 5) }, () => random.pick(Object.keys(ACTORS)))
  const label = `${kind}, ${options.entries}/${options.cqEntries}, ${names.join(' ')}`
  try {
    const closesEarly = random.chance(0.15)
    const actors = names.map((name, id) =>
      ACTORS[name]!(run, id).catch((error) => {
        throw uring.driver.closed && CLOSED.has(codeOf(error)) ? new RingClosed() : error
      }),
    )
    const ended = allOf(actors).catch((error) => {
      if (!(error instanceof RingClosed && closesEarly)) throw error
    })
    const work = async (): Promise<void> => {
      if (closesEarly) {
        for (let turns = random.integer(0, 30); turns > 0; turns--) {
          await nextTurn()
        }
      } else await ended
      // A group of buffers gives them back in its own time.
      const deadline = performance.now() + 2000
      const isBusy = (): boolean => uring.driver.inFlight + uring.arena.blocksInUse > 0
      while (!closesEarly && isBusy() && performance.now() < deadline) await nextTurn()
      if (!uring.driver.closed && !closesEarly) {
        const { driver } = uring
        check(driver.inFlight === 0 && driver.waiting === 0, `${driver.inFlight} operations are left`)
        check(uring.arena.blocksInUse === 0, `${uring.arena.blocksInUse} blocks are left`)
      }
      await Promise.all([uring.close(), ended])
    }
    await inTime(work(), RUN_TIMEOUT_MS, () => {
      const { inFlight, waiting, counters, closed } = uring.driver
      return { operations, settled, inFlight, waiting, counters, closed }
    })
    check(
      uring.driver.closedError('x').message.includes('the ring is closed'),
      uring.driver.closedError('x').message,
    )
    check(operations === settled, `${operations - settled} of ${operations} promises have not settled`)
    const { submitted, completed } = uring.driver.counters
    check(submitted === completed, `${submitted} operations were submitted, ${completed} completed`)
    kernel.dispose()
    await checkDescriptors(before)
    check(standardDescriptorsAreOpen(), 'a standard descriptor was closed')
  } catch (error) {
    throw new Error(`seed ${seed} (${label}): ${(error as Error).message}`, { cause: error })
  } finally {
    kernel.dispose()
  }
  return { operations, injected: kernel.injected }
}

// A descriptor that was closed by accident is as bad as one that was not: 0, 1 and 2 must have stayed.
function standardDescriptorsAreOpen(): boolean {
  const F_GETFD = 1
  return [0, 1, 2].every((fd) => fcntl(fd, F_GETFD, 0) >= 0)
}
