// Messages between rings: in one thread, between threads, with files, to the wrong ring, to a full one.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { prepMsgRing } from '../../src/ring/index.js'
import type { RingEndpoint } from '../../src/runtime/messages.js'
import { ROLE_MESSAGE } from '../../src/runtime/slot.js'
import { close } from '../../src/syscalls/libc.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE } from '../patience.js'
import { temporaryFolder, turns } from './fixture.js'
import { openUring, startWorker } from './open-uring.js'

/** A bit of a message's user_data. */
const BRINGS_FILE = 1 << 23

const here = needs.bind(null, { linux: '6.2', opcode: 'IORING_OP_MSG_RING' } as const)
const folder = temporaryFolder()
const path = join(folder, 'file')
writeFileSync(path, 'sent along')

test(
  'messages arrive in order, with both numbers, before and after someone asks',
  here(async () => {
    await using a = openUring()
    await using b = openUring()
    const { endpoint } = b
    assert.equal(structuredClone(endpoint), endpoint)
    assert.equal(b.endpoint, endpoint)
    await a.postMessage(endpoint, { value: 1, extra: 2 })
    await a.postMessage(endpoint, { value: 0xffff_ffff, extra: 0xffff_ffff })
    await a.postMessage(endpoint, {})
    const messages = b.messages()
    assert.equal((await messages.next()).value, { value: 1, extra: 2, file: null })
    assert.equal((await messages.next()).value, { value: 0xffff_ffff, extra: 0xffff_ffff, file: null })
    assert.equal((await messages.next()).value, { value: 0, extra: 0, file: null })
    const waiting = messages.next()
    await turns(2)
    await a.postMessage(endpoint, { value: 7 })
    assert.equal((await waiting).value, { value: 7, extra: 0, file: null })
    await messages.return()
    assert.is((await messages.next()).done, true)
  }),
)

test(
  'a ring can send to itself',
  here(async () => {
    await using uring = openUring()
    const messages = uring.messages()
    const [, { value }] = await Promise.all([
      uring.postMessage(uring.endpoint, { value: 5 }),
      messages.next(),
    ])
    assert.is(value!.value, 5)
    await messages.return()
  }),
)

test(
  'ten thousand messages from two rings all arrive, though the queue holds few',
  here(async () => {
    await using receiver = openUring({ entries: 4, cqEntries: 8 })
    await using one = openUring()
    await using two = openUring()
    const { endpoint } = receiver
    const receive = (async () => {
      const counts = [0, 0]
      for await (const { value, extra } of receiver.messages()) {
        // Those of one sender keep their order.
        assert.is(extra, counts[value])
        counts[value]!++
        if (counts[0] === 5000 && counts[1] === 5000) break
      }
      return counts
    })()
    const send = async (sender: typeof one, value: number): Promise<void> => {
      for (let extra = 0; extra < 5000; ) {
        const batch: Promise<void>[] = []
        for (let index = 0; index < 50; index++)
          batch.push(sender.postMessage(endpoint, { value, extra: extra++ }))
        await Promise.all(batch)
      }
    }
    await Promise.all([send(one, 0), send(two, 1)])
    assert.equal(await receive, [5000, 5000])
  }),
)

test(
  'messages do not disturb operations in flight on the receiving ring',
  here(async () => {
    await using a = openUring()
    await using b = openUring({ entries: 8, cqEntries: 8 })
    const { endpoint } = b
    let received = 0
    const messages = b.messages()
    const receive = (async () => {
      for await (const { extra } of messages) {
        assert.is(extra, received++)
        if (received === 2000) return
      }
    })()
    const work = async (): Promise<void> => {
      for (let index = 0; index < 500; index++) await Promise.all([b.nop(), b.timeout(0), b.nop()])
    }
    const send = async (): Promise<void> => {
      for (let extra = 0; extra < 2000; extra++) await a.postMessage(endpoint, { extra })
    }
    await Promise.all([work(), send(), receive])
    assert.is(b.driver.inFlight, 0)
  }),
)

test(
  "a registered file arrives in the receiver's table",
  here(async () => {
    await using a = openUring()
    await using b = openUring()
    const source = a.registerFileTable({ size: 2 })
    const target = b.registerFileTable({ size: 2 })
    const file = await source.open(path)
    const messages = b.messages()
    await a.postMessage(b.endpoint, { value: 9, file })
    await file.close()
    const { value: message } = await messages.next()
    assert.is(message!.value, 9)
    assert.is(target.used, 1)
    const buffer = Buffer.alloc(16)
    assert.is(await b.read(message!.file!.index, buffer, { fixedFile: true, offset: 0 }), 10)
    assert.is(buffer.toString('utf8', 0, 10), 'sent along')
    await message!.file!.close()
    assert.is(target.used, 0)
    // A full table refuses, and one that is missing too.
    await target.open(path)
    await target.open(path)
    const again = await source.open(path)
    await assert.rejects(a.postMessage(b.endpoint, { file: again }), { code: 'ENFILE', syscall: 'msg_ring' })
    await using c = openUring()
    await assert.rejects(a.postMessage(c.endpoint, { file: again }), { code: 'ENFILE' })
    await messages.return()
  }),
)

test(
  'a file of another ring than the sending one is refused',
  here(async () => {
    await using a = openUring()
    await using b = openUring()
    const own = await a.registerFileTable({ size: 1 }).open(path)
    const foreign = await b.registerFileTable({ size: 2 }).open(path)
    // The number alone would do.
    assert.is(foreign.index, own.index)
    assert.throws(() => a.postMessage(b.endpoint, { file: foreign }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /is a file of another ring/,
    })
    await a.postMessage(b.endpoint, { file: own })
    // Also where its ring is closed.
    await b.close()
    assert.throws(() => a.postMessage({ ringFd: 0, key: 0 }, { file: foreign }), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
  }),
)

test(
  'a message for another ring that had the same descriptor is dropped, with its file',
  here(async () => {
    await using a = openUring()
    await using b = openUring()
    const table = b.registerFileTable({ size: 1 })
    const source = a.registerFileTable({ size: 1 })
    const { ringFd, key } = b.endpoint
    const stale: RingEndpoint = { ringFd, key: key ^ 1 }
    const messages = b.messages()
    const waiting = messages.next()
    await a.postMessage(stale, { value: 1 })
    await a.postMessage(stale, { value: 1, file: await source.open(path) })
    await a.postMessage(b.endpoint, { value: 2 })
    assert.is((await waiting).value!.value, 2)
    await turns(2)
    // The slot is free again.
    await (await table.open(path)).close()
    await messages.return()
  }),
)

test(
  'a message with a file that there cannot be is dropped, whoever it is for',
  here(async () => {
    await using a = openUring()
    await using b = openUring()
    const { ringFd, key } = b.endpoint
    b.registerFileTable({ size: 2 })
    const messages = b.messages()
    const forge = (forgedKey: number, index: number): Promise<number> =>
      a.start('msg_ring', {}, (sqe) =>
        prepMsgRing(sqe, ringFd, index, ROLE_MESSAGE | BRINGS_FILE | forgedKey, 1),
      )
    const forgeAll = async (): Promise<void> => {
      for (const forgedKey of [key, key ^ 1]) {
        // Negative as the result that it arrives as; beyond the table.
        for (const index of [0xffff_ffff, 0x8000_0000, 2, 0x7fff_ffff]) await forge(forgedKey, index)
      }
      await a.postMessage(b.endpoint, { value: 2 })
    }
    const expected = { value: 2, extra: 0, file: null }
    await forgeAll()
    await turns(2)
    assert.equal((await messages.next()).value, expected)
    const waiting = messages.next()
    await forgeAll()
    assert.equal((await waiting).value, expected)
    await messages.return()
  }),
)

test(
  'a file that came into a table which was replaced before it was taken is closed, and no other file is taken for it',
  needs({ linux: '6.2' }, async () => {
    await using a = openUring()
    await using b = openUring()
    const source = a.registerFileTable({ size: 1 })
    const target = b.registerFileTable({ size: 1 })
    const messages = b.messages()
    await a.postMessage(b.endpoint, { file: await source.open(path) })
    await turns(2)
    target.close()
    const next = b.registerFileTable({ size: 1 })
    const own = await next.open(path)
    const { file } = (await messages.next()).value!
    assert.is(file!.closed, true)
    await assert.rejects(file!.close(), { code: 'EBADF' })
    assert.is(own.closed, false)
    assert.is(await b.read(own.index, Buffer.alloc(4), { fixedFile: true, offset: 0 }), 4)
    await messages.return()
  }),
)

test(
  'a message to no ring, or a closed one, rejects',
  here(async () => {
    await using a = openUring()
    const b = openUring()
    const { endpoint } = b
    await b.close()
    await assert.rejects(a.postMessage(endpoint, { value: 1 }), (error) =>
      ['EBADF', 'EBADFD'].includes(error.code),
    )
    const fd = openSync(path, 'r')
    await assert.rejects(a.postMessage({ ringFd: fd, key: 1 }, {}), { code: 'EBADFD', syscall: 'msg_ring' })
    close(fd)
    assert.throws(() => b.endpoint, { code: 'EBADF' })
    assert.throws(() => b.messages(), { code: 'EBADF' })
    await assert.rejects(b.postMessage({ ringFd: a.driver.ring.fd, key: 1 }, {}), { code: 'EBADF' })
  }),
)

test(
  'a ring that takes no messages ignores them',
  here(async () => {
    await using a = openUring()
    await using b = openUring()
    await a.postMessage({ ringFd: b.driver.ring.fd, key: 5 }, { value: 1 })
    assert.is(await b.nop(), 0)
    assert.is(b.driver.inFlight, 0)
  }),
)

test(
  'abort, return and the closing of the ring end the wait; what came meanwhile is kept',
  here(async () => {
    await using a = openUring()
    const b = openUring()
    const controller = new AbortController()
    const messages = b.messages({ signal: controller.signal })
    assert.throws(() => b.messages(), { code: 'ERR_INVALID_STATE', message: /being read already/ })
    const waiting = messages.next()
    controller.abort()
    await assert.rejects(waiting, { name: 'AbortError' })
    assert.is((await messages.next()).done, true)
    await a.postMessage(b.endpoint, { value: 3 })
    await turns(2)
    const later = b.messages()
    assert.is((await later.next()).value!.value, 3)
    const [one, two] = [later.next(), later.next()]
    await later.return()
    assert.equal(
      [await one, await two].map(({ done }) => done),
      [true, true],
    )
    const last = b.messages().next()
    await Promise.all([
      assert.rejects(last, { name: 'AbortError', message: 'The ring was closed' }),
      b.close(),
    ])
    assert.throws(() => a.postMessage({ ringFd: 0, key: 0 }, null as never), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
    assert.throws(() => a.postMessage(null as never, {}), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => a.postMessage({ ringFd: 0, key: 0 }, { value: -1 }), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => a.postMessage({ ringFd: 0, key: 0 }, { file: 1 as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
    assert.throws(() => a.postMessage({ ringFd: 0, key: 2 ** 23 }, {}), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => a.messages({ signals: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
  }),
)

test(
  'two threads send each other numbers and files',
  here(async () => {
    const uring = openUring()
    const table = uring.registerFileTable({ size: 4 })
    const worker = startWorker(new URL('./message-worker.ts', import.meta.url), { main: uring.endpoint })
    const exited = once(worker, 'exit')
    const failed = once(worker, 'error').then(([error]) => Promise.reject(error))
    failed.catch(() => {})
    const [other] = (await Promise.race([once(worker, 'message'), failed])) as [RingEndpoint]
    const messages = uring.messages()
    for (let value = 1; value <= 1000; value++) {
      await uring.postMessage(other, { value, extra: value * 2 })
      assert.equal((await messages.next()).value, { value: value + 1, extra: value * 2, file: null })
    }
    // Many at a time.
    for (let value = 1; value <= 500; value++) void uring.postMessage(other, { value })
    const seen = new Set<number>()
    while (seen.size < 500) seen.add((await messages.next()).value!.value)
    assert.is(Math.max(...seen), 501)
    for (let round = 0; round < 20; round++) {
      const file = await table.open(path)
      await uring.postMessage(other, { value: 77, file })
      await file.close()
      assert.equal((await messages.next()).value, { value: 77, extra: 10, file: null })
    }
    await uring.postMessage(other, { value: 0 })
    assert.equal(await exited, [0])
    await uring.close()
  }),
)

test(
  'waiting for a message keeps the process alive, an idle mailbox does not',
  here(async () => {
    const run = (body: string): string => {
      const code = `import { openUring } from '${new URL('./open-uring.ts', import.meta.url).href}'
      const uring = openUring()
      let result = 'left'
      process.on('exit', () => console.log(result))
      ${body}`
      const file = join(folder, 'program.mjs')
      writeFileSync(file, code)
      return execFileSync(process.execPath, [...process.execArgv, file], {
        timeout: 20_000 * PATIENCE,
        encoding: 'utf8',
      }).trim()
    }
    const later = "setTimeout(() => { result = 'waited'; m.return() }, 500).unref()"
    assert.is(run(`uring.endpoint; const m = uring.messages(); ${later}`), 'left')
    assert.is(run(`const m = uring.messages(); m.next(); ${later}`), 'waited')
  }),
)

test(
  'a file that comes to a ring whose table chooses its own slots arrives as a file of its own',
  needs({ opcode: 'IORING_OP_MSG_RING', linux: '6.0' }, async () => {
    await using sender = openUring()
    await using receiver = openUring()
    const table = sender.registerFileTable({ size: 8 })
    receiver.registerFileTable({ size: 8, explicitSlots: true })
    const messages = receiver.messages()
    const next = messages.next()
    const fd = openSync('/dev/zero', 'r')
    const file = await table.add(fd)
    close(fd)
    await sender.postMessage(receiver.endpoint, { file })
    const { value } = await next
    const bytes = Buffer.alloc(4, 1)
    await receiver.read(value!.file!.index, bytes, { fixedFile: true })
    assert.equal([...bytes], [0, 0, 0, 0])
    await value!.file!.close()
    await messages.return!()
  }),
)

test.run()
