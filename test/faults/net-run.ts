// One run of uring/net on a faulty kernel: connections to an echo server, each with a stream of bytes that must come back
// once and in order, whatever is short, late or interrupted.

import type { AddressInfo } from 'node:net'
import { connect } from '../../src/net/index.js'
import { defaultUring, openedDefaultUring } from '../../src/runtime/default-uring.js'
import { descriptorCount } from '../descriptors.js'
import { Pattern } from '../soak/bytes.js'
import { echoServer } from '../soak/loads.js'
import { checkDescriptors, inTime } from './bounded-run.js'
import type { RunReport } from './driver-run.js'
import { FaultyKernel, someRates } from './faulty-kernel.js'
import { Random } from './random.js'

const RUN_TIMEOUT_MS = 30_000

async function echo(random: Random, port: number): Promise<number> {
  const pattern = new Pattern(random.integer(0, 2 ** 31))
  const total = random.integer(0, 60_000)
  const socket = await connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  let writes = 0
  const send = async (): Promise<void> => {
    for (let at = 0; at < total; writes++) {
      const part = pattern.bytes(at, Math.min(total - at, random.integer(1, 9000)))
      at += part.length
      await socket.write(part)
    }
    await socket.end()
  }
  const receive = async (): Promise<void> => {
    let at = 0
    for await (const chunk of socket) {
      pattern.check(at, chunk, 'echo')
      at += chunk.length
    }
    if (at !== total) throw new Error(`echo: ${at} of ${total} bytes came back`)
  }
  const results = await Promise.allSettled([send(), receive()])
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  await socket.closed
  return writes
}

/**
 * Makes one run.
 *
 * @throws Error that says which property does not hold.
 */
export async function runNet(seed: number): Promise<RunReport> {
  const random = new Random(seed)
  const kernel = new FaultyKernel(new Random(seed ^ 0x1b873593), someRates(random, 0.3), 'transient')
  kernel.lacksMultishot = random.chance(0.2)
  await openedDefaultUring()?.close()
  const restore = kernel.install()
  let operations = 0
  try {
    const before = descriptorCount()
    const { driver } = defaultUring()!
    const chunks = random.pick(['copy', 'lease'] as const)
    const work = async (): Promise<void> => {
      const server = await echoServer(chunks)
      const { port } = server.address() as AddressInfo
      const count = random.integer(1, 8)
      const clients = Array.from({ length: count }, (_, id) => echo(new Random(seed * 31 + id), port))
      for (const result of await Promise.allSettled(clients)) {
        if (result.status === 'rejected') throw result.reason
        operations += result.value
      }
      await server.close()
      await driver.close()
      const { message } = driver.closedError('x')
      if (!message.includes('the ring is closed')) throw new Error(message)
    }
    await inTime(work(), RUN_TIMEOUT_MS, () => ({
      inFlight: driver.inFlight,
      waiting: driver.waiting,
      ...driver.counters,
    }))
    kernel.dispose()
    await checkDescriptors(before)
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
  } finally {
    restore()
    kernel.dispose()
  }
  return { operations, injected: kernel.injected }
}
