// Busy loops of operations that complete at once leave everyone else a turn. Counted in turns, not in milliseconds.

import { once } from 'node:events'
import { openSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { Uring } from '../../src/index.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE } from '../patience.js'
import { eightBytes, Signal, temporaryFolder, turns } from './fixture.js'

const here = needs.bind(null, { ring: true } as const)
const path = join(temporaryFolder(), 'file')
writeFileSync(path, Buffer.alloc(1 << 20, 1))
const file = openSync(path, 'r')

/** Four loops that never wait. */
function keepBusy(uring: Uring): { stop: () => Promise<number> } {
  let isOver = false
  let reads = 0
  const loop = async (): Promise<void> => {
    const buffer = new Uint8Array(4096)
    while (!isOver) {
      await uring.read(file, buffer, { offset: (reads & 255) * 4096 })
      reads++
    }
  }
  const loops = Promise.all([loop(), loop(), loop(), loop()])
  return {
    stop: async () => {
      isOver = true
      await loops
      return reads
    },
  }
}

test(
  'four loops of cached reads leave timers, immediates, ticks, sockets and signals their turns',
  here(async () => {
    await using uring = Uring.open()
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.pipe(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = connect((server.address() as { port: number }).port, '127.0.0.1')
    await once(socket, 'connect')
    const counts = { timer: 0, immediate: 0, tick: 0, echo: 0, signal: 0, eventfd: 0 }

    const busy = keepBusy(uring)
    const timer = setInterval(() => {
      counts.timer++
      process.nextTick(() => counts.tick++)
      process.kill(process.pid, 'SIGUSR2')
    }, 1)
    let isOver = false
    const immediately = (): void => {
      counts.immediate++
      if (!isOver) setImmediate(immediately)
    }
    setImmediate(immediately)
    socket.on('data', () => {
      counts.echo++
      socket.write('x')
    })
    socket.write('x')
    const onSignal = (): void => void counts.signal++
    process.on('SIGUSR2', onSignal)
    // Operations that do complete later are not forgotten either.
    using other = new Signal()
    const waiting = (async () => {
      while (!isOver) {
        setImmediate(() => other.raise())
        await uring.read(other.fd, eightBytes())
        counts.eventfd++
      }
    })()

    const slowness = Math.min(PATIENCE, 5)
    await new Promise((resolve) => setTimeout(resolve, 1500 * slowness))
    isOver = true
    const reads = await busy.stop()
    other.raise()
    await waiting
    clearInterval(timer)
    socket.destroy()
    server.close()
    await turns(3)
    process.off('SIGUSR2', onSignal)

    // 3 ms of reads to a turn would be 500 of each; a machine that is busy with other things gives a part of that.
    const text = JSON.stringify({ ...counts, reads, ...uring.counters })
    for (const [name, count] of Object.entries(counts)) assert.ok(count > 30, `${name}: ${text}`)
    assert.ok(uring.counters.yields > 30, text)
    // They do not live at the loops' expense: each turn has its share of reads.
    assert.ok(reads / counts.immediate > 20 / slowness, text)
  }),
)

test(
  'loops that work long on each completion yield after few of them',
  here(async () => {
    await using uring = Uring.open()
    let isOver = false
    let worked = 0
    const loop = async (): Promise<void> => {
      const buffer = new Uint8Array(64)
      while (!isOver) {
        await uring.read(file, buffer, { offset: 0 })
        const until = performance.now() + 2
        while (performance.now() < until);
        worked++
      }
    }
    const loops = Promise.all([loop(), loop()])
    let turned = 0
    const timer = setInterval(() => turned++, 1)
    await new Promise((resolve) => setTimeout(resolve, 500))
    isOver = true
    clearInterval(timer)
    await loops
    // Two milliseconds of work each, 3 ms of budget: about every second or third one.
    assert.ok(turned * 8 > worked, `${turned} turns in ${worked} pieces of work`)
  }),
)

test(
  'a program that reads now and then is not held up by the budget of earlier turns',
  here(async () => {
    await using uring = Uring.open()
    const buffer = new Uint8Array(64)
    for (let index = 0; index < 3000; index++) await uring.read(file, buffer, { offset: 0 })
    const before = uring.counters.yields
    for (let round = 0; round < 50; round++) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      for (let index = 0; index < 5; index++) await uring.read(file, buffer, { offset: 0 })
    }
    // A look at the clock may find the turn that it thinks it is in long over, not every time.
    assert.ok(uring.counters.yields - before <= 25 * PATIENCE, `${uring.counters.yields - before} yields`)
  }),
)

test.run()
