// Driver memory: sizes, alignment, reuse, what is kept and what is unmapped, use after close.

import { PAGE_BYTES } from '../../src/ring/index.js'
import { Arena, type Block } from '../../src/runtime/arena.js'
import { assert, needs, test } from '../harness.js'

const here = needs.bind(null, { linux: '5.1' } as const)
const MIB = 1 << 20
const GIB = 2 ** 30

test(
  'a block is long enough, aligned, and nobody else’s',
  here(() => {
    const arena = new Arena()
    const blocks: Block[] = []
    for (const bytes of [
      0,
      1,
      63,
      64,
      65,
      1000,
      4095,
      4096,
      4097,
      65536,
      262_144,
      262_145,
      MIB,
      3 * MIB,
      20 * MIB,
    ]) {
      for (let copy = 0; copy < 3; copy++) {
        const block = arena.alloc(bytes)
        assert.ok(block.bytes.length >= bytes, `${bytes}: ${block.bytes.length}`)
        assert.is(block.address % 64, 0)
        if (bytes >= PAGE_BYTES) assert.is(block.address % PAGE_BYTES, 0)
        blocks.push(block)
      }
    }
    blocks.sort((a, b) => a.address - b.address)
    for (let index = 1; index < blocks.length; index++) {
      const before = blocks[index - 1]!
      assert.ok(before.address + before.bytes.length <= blocks[index]!.address)
    }
    for (const [index, block] of blocks.entries()) block.bytes.fill(index)
    for (const [index, block] of blocks.entries()) assert.ok(block.bytes.every((byte) => byte === index))
    assert.is(blocks[0]!.view.byteLength, blocks[0]!.bytes.length)
    assert.is(arena.blocksInUse, blocks.length)
    for (const block of blocks) arena.free(block)
    assert.is(arena.blocksInUse, 0)
    arena.close()
    assert.is(arena.mappedBytes, 0)
  }),
)

test(
  'freed blocks serve again: memory does not grow with the number of operations',
  here(() => {
    const arena = new Arena()
    for (let round = 0; round < 2000; round++) {
      const blocks = [10, 500, 5000, 100_000, 500_000, 2 * MIB].map((bytes) => arena.alloc(bytes))
      for (const block of blocks) arena.free(block)
    }
    assert.ok(arena.mappedBytes < 6 * MIB, `${arena.mappedBytes}`)
    arena.close()
  }),
)

test(
  'of large blocks that are free a bounded amount is kept, of very large ones none',
  here(() => {
    const arena = new Arena()
    const large = Array.from({ length: 10 }, () => arena.alloc(8 * MIB))
    assert.ok(arena.mappedBytes >= 80 * MIB)
    for (const block of large) arena.free(block)
    assert.is(arena.mappedBytes, 32 * MIB)
    const again = Array.from({ length: 4 }, () => arena.alloc(7 * MIB))
    assert.is(arena.mappedBytes, 32 * MIB)
    for (const block of again) arena.free(block)
    const huge = arena.alloc(20 * MIB)
    assert.is(arena.mappedBytes, 52 * MIB)
    arena.free(huge)
    assert.is(arena.mappedBytes, 32 * MIB)
    // What was unmapped is empty, not a segfault.
    assert.is(huge.bytes.length, 0)
    arena.close()
  }),
)

test(
  'more than one ArrayBuffer can be over is refused, and nothing of it stays',
  here(() => {
    let mappings = 0
    const arena = new Arena((_region, mapped) => {
      mappings += mapped ? 1 : -1
    })
    const block = arena.alloc(10)
    for (const bytes of [4 * GIB + 1, 5 * GIB]) {
      assert.throws(() => arena.alloc(bytes), { code: 'ERR_OUT_OF_RANGE', message: /4294967296/ })
    }
    assert.equal([mappings, arena.mappedBytes, arena.blocksInUse], [1, MIB, 1])
    assert.is(arena.owns(block.bytes), true)
    assert.is(arena.owns(new ArrayBuffer(8)), false)
    try {
      const most = arena.alloc(4 * GIB)
      assert.is(most.bytes.length, 4 * GIB)
      arena.free(most)
    } catch (error) {
      // A small machine does not promise so much.
      assert.is((error as NodeJS.ErrnoException).code, 'ENOMEM')
    }
    arena.close()
    assert.is(mappings, 0)
  }),
)

test(
  'a block that is freed twice is an error at once',
  here(() => {
    const arena = new Arena()
    const block = arena.alloc(10)
    arena.free(block)
    assert.throws(() => arena.free(block), /freed twice/)
    assert.is(arena.alloc(10), block)
    arena.close()
  }),
)

test(
  'after close() blocks in use are empty, and new ones are ordinary memory',
  here(() => {
    const arena = new Arena()
    const held = [arena.alloc(10), arena.alloc(MIB)]
    arena.close()
    arena.close()
    for (const block of held) {
      assert.is(block.bytes.length, 0)
      arena.free(block)
    }
    const late = arena.alloc(100)
    assert.ok(late.bytes.length >= 100)
    assert.ok(late.address > 0)
    late.bytes.fill(1)
    arena.free(late)
    assert.is(arena.mappedBytes, 0)
    assert.is(arena.blocksInUse, 0)
  }),
)

test(
  'every mapping is told of when it is made and when it is unmade',
  here(() => {
    const present = new Set<number>()
    const arena = new Arena(({ address }, mapped) => {
      if (mapped) present.add(address)
      else assert.ok(present.delete(address))
    })
    const blocks = [100, 300_000, MIB, 40 * MIB].map((bytes) => arena.alloc(bytes))
    assert.is(present.size, 4)
    arena.free(blocks[3]!)
    assert.is(present.size, 3)
    arena.close()
    assert.is(present.size, 0)
  }),
)

test.run()
