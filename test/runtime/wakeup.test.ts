// The event loop is woken for every completion: operations that end at odd moments, on rings of every kind. A wakeup that
// is lost is a promise that never settles, so each test has an end that only a whole count reaches.

import { spawnSync } from 'node:child_process'
import { writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { addressOf, POLLIN } from '../../src/ring/index.js'
import { Wakeup } from '../../src/runtime/wakeup.js'
import { write } from '../../src/syscalls/libc.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import {
  closeFd,
  eightBytes,
  KINDS,
  outcomes,
  pipe,
  Signal,
  TestRing,
  temporaryFolder,
  turns,
  until,
  usableKinds,
} from './fixture.js'
import '../settled.js'

const here = needs.bind(null, { ring: true } as const)

for (const [kind, flags] of Object.entries(KINDS)) {
  test(
    `no completion of a ${kind} ring is missed: polls, pipes, eventfds, timers and threads of the kernel at once`,
    needs({ setup: flags }, async () => {
      await using uring = new TestRing({ entries: 32, cqEntries: 64, flags })
      const ends: (() => void)[] = []
      const rounds = 150
      let finished = 0
      const actors: Promise<void>[] = []
      const actor = (body: (round: number) => Promise<unknown>): void => {
        const run = async (): Promise<void> => {
          for (let round = 0; round < rounds; round++) {
            await body(round)
            finished++
          }
        }
        actors.push(run())
      }
      for (let index = 0; index < 4; index++) {
        // Raised from every phase of the event loop, and from the kernel.
        const signal = new Signal()
        ends.push(() => signal.close())
        const one = new Uint8Array(new BigUint64Array([1n]).buffer)
        actor(async (round) => {
          const read = uring.read(signal.fd, eightBytes())
          if (round % 5 === 0) signal.raise()
          else if (round % 5 === 1) queueMicrotask(() => signal.raise())
          else if (round % 5 === 2) setImmediate(() => signal.raise())
          else if (round % 5 === 3) setTimeout(() => signal.raise(), 0)
          else void uring.write(signal.fd, one)
          assert.is(await read, 8)
        })
        const [readEnd, writeEnd] = pipe()
        ends.push(
          () => closeFd(readEnd),
          () => closeFd(writeEnd),
        )
        actor(async (round) => {
          const poll = uring.poll(readEnd, POLLIN)
          if (round % 3 === 0) await turns(1)
          writeSync(writeEnd, 'x')
          assert.ok((await poll) & POLLIN)
          assert.is(await uring.read(readEnd, eightBytes()), 1)
        })
        actor(() => uring.timeout(index * 0.1))
        actor(() => uring.nop({ async: true }))
        actor((round) => (round % 2 === 0 ? uring.nop() : turns(1)))
      }
      await Promise.all(actors)
      assert.is(finished, 20 * rounds)
      assert.is(uring.driver.inFlight, 0)
      for (const end of ends) end()
    }),
  )
}

test(
  'a completion that comes while the loop sleeps wakes it, though nothing else would',
  here(async () => {
    for (const [, flags] of usableKinds()) {
      await using uring = new TestRing({ flags })
      // By a thread of the kernel, by a timer, by a child process.
      const [readEnd, writeEnd] = pipe()
      for (let round = 0; round < 10; round++) {
        const naps = [uring.timeout(3), uring.timeout(5), uring.timeout(5)]
        assert.equal(await outcomes(naps), { undefined: 3 })
      }
      const read = uring.read(readEnd, Buffer.alloc(10))
      const child = spawnSync('sh', ['-c', 'sleep 0.01; echo hello'], {
        stdio: ['ignore', writeEnd, 'ignore'],
      })
      assert.is(child.status, 0)
      assert.is(await read, 6)
      closeFd(readEnd)
      closeFd(writeEnd)
    }
  }),
)

test(
  'the event loop is woken once for what comes at once, and not at all for what is there already',
  here(async () => {
    await using uring = new TestRing()
    const { driver } = uring
    const signals = Array.from({ length: 50 }, () => new Signal())
    const reads = signals.map((signal) => uring.read(signal.fd, eightBytes()))
    await turns(3)
    const before = driver.counters
    for (const signal of signals) signal.raise()
    assert.equal(await outcomes(reads), { 8: 50 })
    assert.ok(driver.counters.wakeups - before.wakeups <= 2, JSON.stringify(driver.counters))
    for (const signal of signals) signal.close()

    const idle = driver.counters.wakeups
    for (let round = 0; round < 100; round++) await uring.nop()
    await turns(5)
    assert.ok(driver.counters.wakeups - idle <= 1)
  }),
)

test('a Wakeup calls for each signal, holds the process only when told to, and closes its descriptors', async () => {
  const before = descriptorCount()
  let woken = 0
  const wakeup = new Wakeup(() => woken++)
  const one = new BigUint64Array([1n])
  const raise = (): number => write(wakeup.fd, addressOf(one), 8)
  assert.is(raise(), 8)
  await until(() => woken === 1)
  raise()
  raise()
  await until(() => woken === 2)
  await turns(3)
  assert.is(woken, 2)
  wakeup.ref()
  wakeup.unref()
  wakeup.close()
  wakeup.close()
  await until(() => descriptorCount() <= before, 'the descriptors being closed')
})

test(
  'a Wakeup whose listener throws goes on',
  here(() => {
    const folder = temporaryFolder()
    const source = new URL('../../src/', import.meta.url).href
    const program = join(folder, 'program.mjs')
    writeFileSync(
      program,
      `import { Wakeup } from '${source}runtime/wakeup.ts'
      import { write } from '${source}syscalls/libc.ts'
      import { addressOf } from '${source}ring/index.ts'
      let woken = 0
      let caught = 0
      process.on('uncaughtException', () => caught++)
      const wakeup = new Wakeup(() => { woken++; throw new Error('on purpose') })
      const one = new BigUint64Array([1n])
      for (let round = 0; round < 3; round++) {
        write(wakeup.fd, addressOf(one), 8)
        while (caught === round) await new Promise((resolve) => setTimeout(resolve, 5))
      }
      wakeup.close()
      console.log(woken, caught)`,
    )
    const { stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, program], {
      encoding: 'utf8',
    })
    assert.is(stdout.trim(), '3 3', stderr)
  }),
)

test.run()
