// Closing: with nothing, with everything in flight, from inside, twice; and rings that are dropped without a close.

import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Uring } from '../../src/index.js'
import { IOSQE_IO_DRAIN, POLLIN, prepNop, prepPollAdd, prepPollMultishot } from '../../src/ring/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import {
  closeFd,
  eightBytes,
  KINDS,
  outcome,
  outcomes,
  pipe,
  Signal,
  TestRing,
  temporaryFolder,
  turns,
  until,
} from './fixture.js'
import '../settled.js'
import { collectGarbage } from '../garbage.js'

const here = needs.bind(null, { ring: true } as const)
const path = join(temporaryFolder(), 'file')
writeFileSync(path, 'x'.repeat(100_000))
const file = openSync(path, 'r')

function ringMappings(): number {
  return readFileSync('/proc/self/maps', 'utf8').split('io_uring').length - 1
}

for (const [kind, flags] of Object.entries(KINDS)) {
  test(
    `close() of a ${kind} ring ends everything in flight and in line, and leaves no descriptor and no mapping`,
    needs({ setup: flags }, async () => {
      const before = { descriptors: descriptorCount(), mappings: ringMappings() }
      const uring = new TestRing({ entries: 16, cqEntries: 16, flags })
      const { driver, arena } = uring
      const never = new Signal()
      const plain = outcomes([uring.read(never.fd, eightBytes()), uring.read(never.fd, eightBytes())])
      const limited = outcomes([uring.poll(never.fd, POLLIN, { timeoutMs: 60_000 }), uring.timeout(60_000)])
      const last: boolean[] = []
      driver.submitMultishot(
        (sqe) => prepPollMultishot(sqe, never.fd, POLLIN),
        (_res, _flags, more) => last.push(more),
        'poll',
        null,
      )
      const inLine = outcomes(Array.from({ length: 50 }, () => uring.poll(never.fd, POLLIN)))
      await turns(3)
      const inKernel = outcome(uring.nop())
      const closing = uring.close()
      assert.ok(driver.closed)
      assert.is(uring.close(), closing)
      const refused = [uring.nop(), uring.read(file, eightBytes()), uring.open('/'), uring.timeout(1)]
      refused.push(uring.read(file, eightBytes(), { timeoutMs: 5 }), uring.statx('/') as never)
      assert.equal(await outcomes(refused), { EBADF: 6 })
      assert.equal(await plain, { ABORT_ERR: 2 })
      assert.equal(await limited, { ABORT_ERR: 2 })
      assert.equal(await inLine, { ABORT_ERR: 50 })
      await inKernel
      await closing
      assert.equal(last, [false])
      assert.ok(driver.ring.closed)
      assert.is(driver.inFlight, 0)
      assert.is(arena.mappedBytes, 0)
      never.close()
      await until(() => descriptorCount() <= before.descriptors, 'the descriptors being closed')
      assert.is(ringMappings(), before.mappings)
      assert.is(await outcome(uring.nop()), 'EBADF')
      await uring.close()
    }),
  )
}

test(
  'what was issued before close() is carried out where it does not wait',
  here(async () => {
    const uring = new TestRing()
    const memory = eightBytes()
    const issued = outcomes([uring.read(file, memory, { offset: 0 }), uring.poll(file, POLLIN), uring.nop()])
    const closing = uring.close()
    assert.equal(await issued, { 8: 1, 1: 1, 0: 1 })
    await closing
    assert.is(Buffer.from(memory).toString(), 'xxxxxxxx')
  }),
)

test(
  'the AbortError of a closed ring says so',
  here(async () => {
    const uring = new TestRing()
    using never = new Signal()
    const pending = uring.read(never.fd, eightBytes())
    const other = uring.poll(never.fd, POLLIN, { timeoutMs: 10_000 })
    await turns(1)
    const closing = uring.close()
    const error = { name: 'AbortError', code: 'ABORT_ERR', message: 'The ring was closed' }
    await assert.rejects(pending, error)
    await assert.rejects(other, error)
    await closing
    await assert.rejects(uring.fsync(file), {
      code: 'EBADF',
      errno: -9,
      syscall: 'fsync',
      message: 'EBADF: bad file descriptor, fsync (the ring is closed)',
    })
  }),
)

test(
  'close() called by a completion handler, and while a flush runs, comes to its end',
  here(async () => {
    const uring = new TestRing({ entries: 8, cqEntries: 8 })
    const { driver } = uring
    using never = new Signal()
    const pending = [uring.poll(never.fd, POLLIN), uring.poll(never.fd, POLLIN)]
    let closing: Promise<void> | null = null
    driver.submitMultishot(
      prepNop,
      () => {
        closing = uring.close()
        driver.flush()
      },
      'nop',
      null,
    )
    const behind = Array.from({ length: 20 }, () => uring.nop())
    const counts = await outcomes(behind)
    assert.is((counts[0] ?? 0) + (counts['ABORT_ERR'] ?? 0), 20)
    assert.equal(await outcomes(pending), { ABORT_ERR: 2 })
    await closing
    assert.ok(driver.ring.closed)
  }),
)

test(
  'a driver that idles, or is about to flush, closes',
  here(async () => {
    const idle = new TestRing()
    await idle.close()
    const busy = new TestRing()
    const nop = busy.nop()
    await busy.close()
    assert.is(await nop, 0)
    const limited = new TestRing()
    const late = limited.nop({ timeoutMs: 1000, signal: new AbortController().signal })
    await Promise.all([limited.close(), late])
    const flushed = new TestRing()
    flushed.driver.flush()
    const closing = flushed.close()
    flushed.driver.flush()
    await closing
    flushed.driver.flush()
  }),
)

test(
  'close() reaches operations that a drain holds back',
  here(async () => {
    const uring = new TestRing()
    using never = new Signal()
    const pending = [
      uring.read(never.fd, eightBytes()),
      uring.poll(never.fd, POLLIN, { drain: true }),
      uring.submit((sqe) => prepPollAdd(sqe, never.fd, POLLIN).addFlags(IOSQE_IO_DRAIN)),
      uring.poll(never.fd, POLLIN),
    ]
    await turns(3)
    const closing = uring.close()
    assert.equal(await outcomes(pending), { ABORT_ERR: 4 })
    await closing
  }),
)

test(
  'close() waits for what cannot be cancelled, and the memory is whole until then',
  here(async () => {
    const uring = new TestRing()
    // A thread of the kernel reads a large file: nothing stops it.
    const large = join(temporaryFolder(), 'large')
    writeFileSync(large, Buffer.alloc(1 << 24, 7))
    const fd = openSync(large, 'r')
    const buffers = Array.from({ length: 4 }, () => Buffer.alloc(1 << 24))
    const reads = buffers.map((buffer) => uring.read(fd, buffer, { offset: 0, async: true }))
    await turns(1)
    const closing = uring.close()
    const results = await Promise.all(reads.map(outcome))
    await closing
    results.forEach((result, index) => {
      if (typeof result === 'number')
        assert.ok(buffers[index]!.subarray(0, result).every((byte) => byte === 7))
      else assert.is(result, 'ABORT_ERR')
    })
    closeFd(fd)
  }),
)

test(
  'a hundred rings opened and closed leave nothing behind',
  here(async () => {
    const before = { descriptors: descriptorCount(), mappings: ringMappings() }
    for (let round = 0; round < 100; round++) {
      const uring = Uring.open()
      const read = uring.read(file, eightBytes(), { offset: 0 })
      const link = round % 2 === 0 ? uring.timeout(10_000) : null
      assert.is(await read, 8)
      await uring.close()
      if (link !== null) assert.is(await outcome(link), 'ABORT_ERR')
    }
    await until(() => descriptorCount() <= before.descriptors, 'the descriptors being closed')
    assert.is(ringMappings(), before.mappings)
  }),
)

test(
  'close() holds the process although it was told that operations do not',
  here(async () => {
    const uring = Uring.open().unref()
    using never = new Signal()
    const pending = outcome(uring.read(never.fd, eightBytes()))
    await turns(1)
    await uring.close()
    assert.is(await pending, 'ABORT_ERR')
    assert.ok(uring.closed)
    assert.is(uring.inFlight, 0)
  }),
)

test(
  'a ring that nobody has any more is closed with a warning, after its operations have ended',
  here(async () => {
    const before = { descriptors: descriptorCount(), mappings: ringMappings() }
    const [readEnd, writeEnd] = pipe()
    const warnings: string[] = []
    const onWarning = (warning: Error): void => void warnings.push(`${warning.name}: ${warning.message}`)
    process.on('warning', onWarning)
    const read = (() => {
      Uring.open()
      const uring = Uring.open()
      return uring.read(readEnd, eightBytes())
    })()
    await until(() => {
      collectGarbage()
      return warnings.length >= 2
    }, 'the rings being collected')
    assert.is(warnings[0], 'RingLeak: Closing an io_uring ring on garbage collection; call uring.close()')
    writeSync(writeEnd, 'late')
    assert.is(await read, 4)
    closeFd(readEnd)
    closeFd(writeEnd)
    await until(() => descriptorCount() <= before.descriptors, 'the descriptors being closed')
    assert.is(ringMappings(), before.mappings)
    const closed = Uring.open()
    await closed.close()
    process.off('warning', onWarning)
  }),
)

test.run()
