// The two readers of a basis, and which of them a file gets.

import { spawnSync } from 'node:child_process'
import { ftruncateSync, mkdirSync, openSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { liveFileMappings } from '../../src/syscalls/file-mappings.js'
import {
  type BufferedBasis,
  type MappedBasis,
  MMAP_THRESHOLD_BYTES,
  openBasis,
  selectReader,
  WINDOW_ALIGNMENT,
  WINDOW_BYTES,
} from '../../src/transfer/index.js'
import { assert, test } from '../harness.js'
import { Random, scratch } from './scratch.js'

const CONTENT = new Random(7).bytes(700_000)
const path = scratch('basis')
writeFileSync(path, CONTENT)

async function buffered(): Promise<BufferedBasis> {
  return (await openBasis(path, { strategy: 'buffered' })) as BufferedBasis
}

async function mapped(file = path): Promise<MappedBasis> {
  return (await openBasis(file, { strategy: 'mmap', writer: 'standard' })) as MappedBasis
}

test('selectReader() gives a ring the buffer always, another writer a mapping from 1 MiB up', () => {
  const large = MMAP_THRESHOLD_BYTES
  assert.is(large, 1048576)
  for (const strategy of ['auto', 'mmap'] as const) {
    assert.equal(selectReader(strategy, 'ring', large), { kind: 'buffered', reason: 'ring-writer' })
  }
  assert.equal(selectReader('auto', 'standard', large), { kind: 'mapped', reason: 'large-file' })
  assert.equal(selectReader('auto', 'standard', large - 1), { kind: 'buffered', reason: 'small-file' })
  assert.equal(selectReader('mmap', 'standard', 1), { kind: 'mapped', reason: 'asked-for' })
  assert.equal(selectReader('mmap', 'standard', 0), { kind: 'buffered', reason: 'empty-file' })
  for (const writer of ['ring', 'standard'] as const) {
    assert.equal(selectReader('buffered', writer, large), { kind: 'buffered', reason: 'asked-for' })
  }
})

test('openBasis() says what it has opened, and why', async () => {
  await using basis = await openBasis(path)
  assert.equal(basis.report, {
    kind: 'buffered',
    reason: 'ring-writer',
    strategy: 'auto',
    writer: 'ring',
    size: CONTENT.length,
  })
  await using other = await mapped()
  assert.is(other.report.kind, 'mapped')
  assert.is(other.report.reason, 'asked-for')
})

test('openBasis() refuses bad options, directories, missing and special files', async () => {
  await assert.rejects(openBasis(path, { strategy: 'fast' as 'auto' }), { code: 'ERR_INVALID_ARG_VALUE' })
  await assert.rejects(openBasis(path, { writer: 1 as unknown as 'ring' }), { code: 'ERR_INVALID_ARG_TYPE' })
  await assert.rejects(openBasis(path, { stratgy: 'auto' } as object), { code: 'ERR_INVALID_ARG_VALUE' })
  await assert.rejects(openBasis(scratch('none')), { code: 'ENOENT' })
  mkdirSync(scratch('folder'))
  await assert.rejects(openBasis(scratch('folder')), { code: 'EISDIR', path: scratch('folder') })
  spawnSync('mkfifo', [scratch('fifo')])
  await assert.rejects(openBasis(scratch('fifo')), { code: 'EINVAL' })
})

test('openBasis() reads through a buffer what cannot be mapped, and says so', async () => {
  // A file of /proc has no size.
  await using empty = await openBasis('/proc/self/status', { strategy: 'mmap', writer: 'standard' })
  assert.is(empty.report.reason, 'empty-file')
  // One of sysfs has, and no mapping.
  const file = '/sys/kernel/uevent_seqnum'
  await using refused = await openBasis(file, { strategy: 'mmap', writer: 'standard' })
  assert.is(refused.kind, 'buffered')
  assert.is(refused.report.reason, 'mapping-refused')
  assert.is(refused.report.code, 'ENODEV')
})

test('the buffered reader has one window: aligned down, moved forward without reading again what it has', async () => {
  await using basis = await buffered()
  const reads: [number, number][] = []
  const { file } = basis
  basis.readBy({
    backend: 'node:fs',
    read: async (fd, target, position) => {
      assert.is(fd, file.fd)
      const count = Math.min(target.length, CONTENT.length - position)
      reads.push([position, target.length])
      CONTENT.copy(target, 0, position, position + count)
      return count
    },
    write: () => assert.unreachable() as never,
    fsync: () => assert.unreachable() as never,
  })
  assert.is(WINDOW_BYTES, 262144)
  assert.is(WINDOW_ALIGNMENT, 1024)

  assert.ok(Buffer.from(await basis.read(5000, 100)).equals(CONTENT.subarray(5000, 5100)))
  assert.equal(basis.window, [4096, 4096 + WINDOW_BYTES])
  assert.ok(Buffer.from(await basis.read(4096, 1)).equals(CONTENT.subarray(4096, 4097)))
  assert.is(reads.length, 1)
  // Forward, with an overlap of 62,464 bytes: only what is new is read.
  assert.ok(Buffer.from(await basis.read(204_000, 100_000)).equals(CONTENT.subarray(204_000, 304_000)))
  assert.equal(reads[1], [4096 + WINDOW_BYTES, 203_776 + WINDOW_BYTES - 4096 - WINDOW_BYTES])
  // Back: all of it.
  assert.ok(Buffer.from(await basis.read(0, 10)).equals(CONTENT.subarray(0, 10)))
  assert.equal(reads[2], [0, WINDOW_BYTES])
  // The end: no more than there is.
  assert.ok(Buffer.from(await basis.read(699_990, 10)).equals(CONTENT.subarray(699_990)))
  assert.equal(basis.window, [699_392, 700_000])
  assert.is((await basis.read(700_000, 0)).length, 0)
})

test('random ranges are what the file holds, by both readers', async () => {
  const random = new Random(99)
  for (const basis of [await buffered(), await mapped()]) {
    for (let round = 0; round < 500; round++) {
      const offset = random.below(CONTENT.length)
      const length = random.below(Math.min(CONTENT.length - offset, 200_000) + 1)
      const bytes = Buffer.from(await basis.read(offset, length))
      assert.ok(
        bytes.equals(CONTENT.subarray(offset, offset + length)),
        `${basis.kind}: ${length} at ${offset}`,
      )
    }
    await basis.verify()
    await basis.close()
    await basis.close()
  }
})

test('a range past the end is an error, whatever the file has become since', async () => {
  const file = scratch('growing')
  writeFileSync(file, CONTENT.subarray(0, 1000))
  for (const basis of [await openBasis(file), await mapped(file)]) {
    writeFileSync(file, CONTENT.subarray(0, 1000))
    const fd = openSync(file, 'r+')
    ftruncateSync(fd, 5000)
    const expected = {
      code: 'ERR_BASIS_RANGE',
      message: /^requested range extends past end of file: 2 bytes at 999 of 1000, '/,
    }
    await assert.rejects(basis.read(999, 2), expected)
    assert.is((await basis.read(999, 1)).length, 1)
    await basis.close()
    truncateSync(file, 1000)
  }
})

test('a file that shrank is an error of read() or of verify(), never a signal', async () => {
  for (const open of [() => buffered(), () => mapped()]) {
    writeFileSync(path, CONTENT)
    const basis = await open()
    await basis.read(0, 10)
    truncateSync(path, 300_100)
    await assert.rejects(basis.read(500_000, 100), { code: 'ERR_BASIS_CHANGED' })
    await assert.rejects(basis.verify(), { code: 'ERR_BASIS_CHANGED' })
    await basis.close()
  }
  writeFileSync(path, CONTENT)
})

test('a file that was written to since it was opened is no basis any more', async () => {
  for (const open of [() => buffered(), () => mapped()]) {
    const basis = await open()
    await new Promise((resolve) => setTimeout(resolve, 20))
    writeFileSync(path, CONTENT, { flag: 'r+' })
    await assert.rejects(basis.verify(), { code: 'ERR_BASIS_CHANGED', message: /^The basis was changed/ })
    await basis.close()
  }
})

test('a mapped basis is listed while it is open, and gives addresses only', async () => {
  const before = liveFileMappings[0]!
  const basis = await mapped()
  assert.is(liveFileMappings[0], before + 1)
  const address = basis.addressAt(0, CONTENT.length)
  assert.ok(address > 0)
  assert.is(address % 4096, 0)
  assert.is(basis.addressAt(5000, 1), address + 5000)
  assert.throws(() => basis.addressAt(CONTENT.length, 1), { code: 'ERR_BASIS_RANGE' })
  await basis.close()
  assert.is(liveFileMappings[0], before)
  assert.throws(() => basis.addressAt(0, 1), { code: 'ERR_INVALID_STATE' })
})

test('two reads of a buffered basis at once: the second is refused', async () => {
  await using basis = await buffered()
  const first = basis.read(0, 10)
  await assert.rejects(basis.read(400_000, 10), { code: 'ERR_INVALID_STATE' })
  assert.is((await first).length, 10)
})

test('openBasis() follows a symlink and takes URLs', async () => {
  symlinkSync(path, scratch('link'))
  await using basis = await openBasis(new URL(`file://${scratch('link')}`))
  assert.is(basis.size, CONTENT.length)
})

test.run()
