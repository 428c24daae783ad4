import { writeSync } from 'node:fs'
import { POLLIN } from '../../src/ring/index.js'
import { closeFd, eightBytes, KINDS, pipe, Signal, TestRing, turns } from './fixture.js'

const kind = process.argv[2]!,
  mode = process.argv[3] ?? 'all'
const uring = new TestRing({ entries: 32, cqEntries: 64, flags: KINDS[kind]! })
const d = uring.driver,
  ring = d.ring
let finished = 0,
  last = -1
const pend = new Map<string, number>()
const actors: Promise<void>[] = []
const actor = (name: string, body: (round: number) => Promise<unknown>): void => {
  const run = async () => {
    for (let r = 0; r < 150; r++) {
      pend.set(name, r)
      await body(r)
      finished++
    }
    pend.delete(name)
  }
  actors.push(run())
}
for (let i = 0; i < 4; i++) {
  const signal = new Signal()
  const one = new Uint8Array(new BigUint64Array([1n]).buffer)
  if (mode.includes('all') || mode.includes('sig'))
    actor('sig' + i, async (round) => {
      const read = uring.read(signal.fd, eightBytes())
      if (round % 5 === 0) signal.raise()
      else if (round % 5 === 1) queueMicrotask(() => signal.raise())
      else if (round % 5 === 2) setImmediate(() => signal.raise())
      else if (round % 5 === 3) setTimeout(() => signal.raise(), 0)
      else void uring.write(signal.fd, one)
      await read
    })
  const [r, w] = pipe()
  if (mode.includes('all') || mode.includes('pipe'))
    actor('pipe' + i, async (round) => {
      const poll = uring.poll(r, POLLIN)
      if (round % 3 === 0) await turns(1)
      writeSync(w, 'x')
      await poll
      await uring.read(r, eightBytes())
    })
  if (mode.includes('all') || mode.includes('tim')) actor('tim' + i, () => uring.timeout(i * 0.1))
  if (mode.includes('all') || mode.includes('asy')) actor('asy' + i, () => uring.nop({ async: true }))
  if (mode.includes('all') || mode.includes('nop'))
    actor('nop' + i, (round) => (round % 2 === 0 ? uring.nop() : turns(1)))
}
const t = setInterval(
  () => {
    if (finished === last) {
      console.log(
        'STALL',
        finished,
        [...pend],
        d.inFlight,
        d.waiting,
        JSON.stringify(d.counters),
        'sqFlags',
        ring.sqFlags,
        'cqReady',
        ring.cqReady,
        'pending',
        ring.sqPending,
        'evfd',
        ring.eventfdEnabled,
      )
      clearInterval(t)
      ring.getEvents()
      console.log('after getevents: cqReady', ring.cqReady)
      d.flush()
      setTimeout(() => {
        console.log('then', finished)
        process.exit(1)
      }, 300)
    }
    last = finished
  },
  Number(process.env.W ?? 500),
)
await Promise.all(actors)
clearInterval(t)
console.log('ok', finished)
await uring.close()
process.exit(0)
