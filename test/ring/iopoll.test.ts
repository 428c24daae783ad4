// Rings whose completions are polled for. Whether a file can be polled depends on its device (nvme with poll_queues);
// where it cannot, the kernel says so in the CQE, and that answer is what is held fast here.

import { constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepRead } from '../../src/ring/prep/read-write.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_ENTER_GETEVENTS,
  IORING_SETUP_HYBRID_IOPOLL,
  IORING_SETUP_IOPOLL,
  IORING_SETUP_SQPOLL,
} from '../../src/syscalls/abi/index.js'
import { close } from '../../src/syscalls/libc.js'
import { MappedRegion } from '../../src/syscalls/memory.js'
import { assert, needs, test } from '../harness.js'
import { complete, nextSqe, queueNops, range, reap, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const EINVAL = -22
const EOPNOTSUPP = -95

/** Reads the first page of a file through `ring`; the CQE's res. */
function readPage(ring: Ring, path: string, flags: number): number {
  const fd = openSync(path, constants.O_RDONLY | flags)
  const page = MappedRegion.anonymous(4096)
  prepRead(nextSqe(ring), fd, page.address, 4096, 0).setUserData(1)
  const seen = complete(ring, 1)
  if (seen.get(1) === 4096) assert.ok(new Uint8Array(page.buffer).every((byte) => byte === 0x61))
  close(fd)
  page.unmap()
  return seen.get(1)!
}

for (const [name, flags] of [
  ['IOPOLL', IORING_SETUP_IOPOLL],
  ['HYBRID_IOPOLL', IORING_SETUP_IOPOLL | IORING_SETUP_HYBRID_IOPOLL],
  ['IOPOLL under SQPOLL', IORING_SETUP_IOPOLL | IORING_SETUP_SQPOLL],
] as const) {
  const kernel = { linux: flags & IORING_SETUP_HYBRID_IOPOLL ? '6.13' : '5.19' }

  test(
    `${name}: NOPs complete`,
    needs(kernel, () => {
      const ring = Ring.open({ entries: 8, flags })
      for (const first of range(1, 20)) {
        queueNops(ring, first, 100)
        assert.equal([...complete(ring, 2).keys()], [first, 100])
      }
      assert.equal(reap(ring), [])
      ring.close()
    }),
  )

  test(
    `${name}: a direct read is polled for, or refused by a device that cannot be polled`,
    needs(kernel, () => {
      const folder = mkdtempSync(join(tmpdir(), 'uring-'))
      const path = join(folder, 'file')
      writeFileSync(path, 'a'.repeat(8192))
      const ring = Ring.open({ entries: 8, flags })
      const res = readPage(ring, path, constants.O_DIRECT)
      assert.ok([4096, EOPNOTSUPP, EINVAL].includes(res), `res ${res}`)
      // A buffered read is polled on no device.
      assert.is(readPage(ring, path, 0), EOPNOTSUPP)
      ring.close()
      rmSync(folder, { recursive: true })
    }),
  )
}

test('IOPOLL: forEachCqe() enters the kernel when nothing is there, for nobody else posts', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4, flags: IORING_SETUP_IOPOLL }, fake)
  fake.onEnter = () => {
    if (fake.enters.length === 2) fake.post(9, 0, 4096, 0)
  }
  assert.equal(reap(ring), [])
  assert.equal(reap(ring), [9])
  assert.ok(
    fake.enters.every(({ minComplete, flags }) => minComplete === 0 && flags === IORING_ENTER_GETEVENTS),
  )
  ring.close()
  fake.dispose()
})

test('HYBRID_IOPOLL without IOPOLL is refused before any system call', () => {
  const fake = new FakeRing()
  const error = thrown(() => Ring.open({ entries: 4, flags: IORING_SETUP_HYBRID_IOPOLL }, fake))
  assert.is(error.code, 'ERR_INVALID_ARG_VALUE')
  assert.is(fake.setups, 0)
})

test.run()
