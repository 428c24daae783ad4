import { openUring, turns } from './open-uring.js'
import { pipe2 } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
async function main() {
  const uring = openUring({ entries: 2, cqEntries: 2, flags: 2 | 8 })
  const show = (what: string) => console.log(what, uring.inFlight, JSON.stringify(uring.driver.counters), uring.driver.waiting, uring.driver.ring.sqPending, uring.driver.ring.cqReady, uring.driver.ring.sqFlags, uring.driver.ring.eventfdEnabled)
  process.on('exit', () => show('exit'))
  const pair = new Int32Array(2)
  pipe2(addressOf(pair), 0)
  const controller = new AbortController()
  const blocking = [1, 2].map(() => uring.poll(pair[0]!, 1, { signal: controller.signal }).catch((e) => console.log(String(e))))
  const own = new AbortController()
  const waiting = uring.chain((op) => [op.nop(), op.nop({ signal: own.signal })])
  await turns(1)
  show('before')
  own.abort()
  console.log(await waiting)
  show('aborted')
  controller.abort()
  await Promise.all(blocking)
  console.log('done')
}
main()
