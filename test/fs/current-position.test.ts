// The ring does not move the current position of a file when a transfer ends later, as direct ones do on ext4. A
// FileHandle reads and writes on from there all the same. What is seen of one file says nothing of the next.

import nodeSync from 'node:fs'
import nodeFs from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type FileHandle, open } from '../../src/fs/index.js'
import { addressOf } from '../../src/ring/index.js'
import { fcntl } from '../../src/syscalls/libc.js'
import { takesDirect } from '../file-systems.js'
import { assert, needs, test } from '../harness.js'
import { IS_EMULATED } from '../patience.js'
import { scratch } from './scratch.js'

const BLOCK = 4096
const F_GETFL = 3
const F_SETFL = 4
const { O_DIRECT, O_RDWR } = nodeSync.constants

function alignedBuffer(): Buffer {
  const memory = Buffer.alloc(2 * BLOCK)
  const start = (BLOCK - (addressOf(memory) % BLOCK)) % BLOCK
  return memory.subarray(start, start + BLOCK)
}

/** Where a direct transfer may be over before the kernel has handed it on, it moves the position, now and then. */
const isQuick = (): true | string =>
  IS_EMULATED ? 'needs a processor that is quicker than its disk' : takesDirect()

function blocksFile(name: string): string {
  const path = scratch(name)
  nodeSync.writeFileSync(
    path,
    Buffer.concat(['a', 'b', 'c', 'd'].map((letter) => Buffer.alloc(BLOCK, letter))),
  )
  return path
}

async function nextLetter(handle: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await handle.read(alignedBuffer(), 0, BLOCK)
  return bytesRead === 0 ? '' : buffer.toString('latin1', 0, 1)
}

test(
  'reads go on from the current position wherever a file is: on a disk, in memory, in one that the kernel makes up',
  needs({ ring: true }, async () => {
    const paths = [blocksFile('anywhere'), '/proc/self/mountinfo', '/proc/cpuinfo', '/proc/self/environ']
    try {
      paths.push(join(nodeSync.mkdtempSync('/dev/shm/uring-'), 'file'))
      nodeSync.copyFileSync(paths[0]!, paths.at(-1)!)
    } catch {
      // No memory file system here.
    }
    for (const path of paths) {
      const [ours, theirs] = [await open(path, 'r'), await nodeFs.open(path, 'r')]
      for (const length of [5, 1000, 3, 4096, 7, 20_000]) {
        const [a, b] = [await ours.read(Buffer.alloc(length)), await theirs.read(Buffer.alloc(length))]
        assert.is(a.bytesRead, b.bytesRead, path)
        assert.ok(a.buffer.equals(b.buffer), path)
      }
      await ours.close()
      await theirs.close()
      if (path.startsWith('/dev/shm')) nodeSync.rmSync(dirname(path), { recursive: true })
    }
  }),
)

test(
  'a handle opened with O_DIRECT reads and writes on from its current position',
  needs({ ring: true, when: takesDirect }, async () => {
    const handle = await open(blocksFile('direct'), O_RDWR | O_DIRECT)
    try {
      assert.equal([await nextLetter(handle), await nextLetter(handle)], ['a', 'b'])
      await handle.write(alignedBuffer().fill('X'), 0, BLOCK)
      assert.equal([await nextLetter(handle), await nextLetter(handle)], ['d', ''])
      const { buffer } = await handle.read(alignedBuffer(), 0, BLOCK, 2 * BLOCK)
      assert.is(buffer.toString('latin1', 0, 2), 'XX')
    } finally {
      await handle.close()
    }
  }),
)

/** Reads, writes and reads on a handle which knows of no O_DIRECT: like a file system without a page cache. */
async function lettersBehindItsBack(): Promise<string[]> {
  const handle = await open(blocksFile('noticed'), 'r+')
  try {
    assert.is(fcntl(handle.fd, F_SETFL, fcntl(handle.fd, F_GETFL, 0) | O_DIRECT), 0)
    const letters = [await nextLetter(handle), await nextLetter(handle)]
    const views = [alignedBuffer().fill('Y')]
    assert.is((await handle.writev(views)).bytesWritten, BLOCK)
    return [...letters, await nextLetter(handle), await nextLetter(handle)]
  } finally {
    await handle.close()
  }
}

const ATTEMPTS = 5

test(
  'it is noticed when the ring does not move the position, and made good',
  needs({ ring: true, when: isQuick }, async () => {
    const seen: string[] = []
    // A handle learns from its first transfer. Where that one was over at once, the kernel has moved the position.
    while (seen.length < ATTEMPTS && seen.at(-1) !== 'abd') seen.push((await lettersBehindItsBack()).join(''))
    assert.is(seen.at(-1), 'abd', `${seen}`)
  }),
)

test.run()
