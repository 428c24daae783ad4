// Signatures, deltas and patches checked against the program rdiff, both ways, on random pairs of files.

import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import {
  deltaFile,
  patchFile,
  type RollingSum,
  type StrongSum,
  signatureFile,
} from '../../src/transfer/index.js'
import { assert, needs, test } from '../harness.js'
import { scaled } from '../patience.js'
import { leftovers, Random, rdiff, scratch } from './scratch.js'

// Every kind of pair, and every format, is among the first 56.
const PAIRS = Math.max(56, scaled(224))
const FORMATS: readonly { rolling: RollingSum; strong: StrongSum }[] = [
  { rolling: 'rabinkarp', strong: 'blake2' },
  { rolling: 'rollsum', strong: 'blake2' },
  { rolling: 'rabinkarp', strong: 'md4' },
  { rolling: 'rollsum', strong: 'md4' },
]

/** Inserts, deletes, moves and overwrites parts. */
function edited(random: Random, old: Buffer): Buffer {
  let content = old
  for (let edits = 1 + random.below(6); edits > 0; edits--) {
    const at = random.below(content.length + 1)
    const length = random.below(Math.max(2, content.length >> 2))
    const parts = [content.subarray(0, at), random.bytes(length % 3000), content.subarray(at)]
    if (random.below(3) === 0)
      parts[1] = content.subarray(random.below(content.length + 1)).subarray(0, length)
    if (random.below(3) === 0) parts[2] = content.subarray(Math.min(content.length, at + length))
    content = Buffer.concat(parts)
  }
  return content
}

/** The old and the new content of pair number `index`. */
function pair(index: number, random: Random): readonly [Buffer, Buffer] {
  const large = random.bytes(1 + random.below(index % 16 === 3 ? 1_500_000 : 60_000))
  switch (index % 16) {
    case 0:
      return [Buffer.alloc(0), random.bytes(random.below(5000))]
    case 1:
      return [random.bytes(random.below(5000)), Buffer.alloc(0)]
    case 2:
      return [random.bytes(random.below(20)), random.bytes(random.below(20))]
    case 4:
      return [large, large]
    case 5:
      return [large, random.bytes(1 + random.below(60_000))]
    case 6:
      return index % 32 === 6 ? [Buffer.alloc(0), Buffer.alloc(0)] : [Buffer.alloc(1), Buffer.alloc(1)]
    // Zeros around data: many equal blocks.
    case 7: {
      const zeros = Buffer.alloc(random.below(200_000))
      return [
        Buffer.concat([zeros, large, zeros]),
        Buffer.concat([large, zeros, large, Buffer.alloc(10_000)]),
      ]
    }
    // Few values: many equal rolling sums.
    case 8:
      return [large, edited(random, large)].map((bytes) => Buffer.from(bytes.map((byte) => byte & 1))) as [
        Buffer,
        Buffer,
      ]
    // The end of the old file, a short block, in the middle and at the end.
    case 9:
      return [large, Buffer.concat([large.subarray(-700), random.bytes(50), large.subarray(-1000)])]
    case 10:
      return [large, large.subarray(random.below(large.length))]
    case 11:
      return [large, Buffer.concat([large, large, large])]
    default:
      return [large, edited(random, large)]
  }
}

test(
  `${PAIRS} random pairs: signatures are equal byte for byte, deltas apply both ways`,
  needs({ swift: true, command: 'rdiff' }, async () => {
    const [old, fresh] = [scratch('old'), scratch('new')]
    const [ours, theirs] = [scratch('ours'), scratch('theirs')]
    const [ourDelta, theirDelta, output] = [scratch('our.delta'), scratch('their.delta'), scratch('output')]
    for (let index = 0; index < PAIRS; index++) {
      const random = new Random(index * 7919 + 1)
      const [before, after] = pair(index, random)
      writeFileSync(old, before)
      writeFileSync(fresh, after)
      const { rolling, strong } = FORMATS[(index >> 2) % FORMATS.length]!
      const blockBytes = index % 3 === 0 ? undefined : 1 + random.below(index % 3 === 1 ? 128 : 5000)
      const strongBytes = index % 5 === 0 ? 8 : undefined
      const what = `pair ${index}: ${before.length} to ${after.length} bytes, ${rolling}, ${strong}, ${blockBytes}`

      const result = await signatureFile(old, ours, { rolling, strong, blockBytes, strongBytes })
      const flags = ['-R', rolling, '-H', strong, '-b', `${blockBytes ?? 0}`, '-S', `${strongBytes ?? 0}`]
      rdiff(...flags, 'signature', old, theirs)
      assert.ok(readFileSync(ours).equals(readFileSync(theirs)), `${what}: signature`)
      assert.is(result.blocks, Math.ceil(before.length / result.blockBytes))

      const counts = await deltaFile(theirs, fresh, ourDelta)
      assert.is(counts.literalBytes + counts.matchedBytes, after.length, what)
      rdiff('patch', old, ourDelta, output)
      assert.ok(readFileSync(output).equals(after), `${what}: our delta by rdiff`)

      rdiff('delta', ours, fresh, theirDelta)
      const patched = await patchFile(old, theirDelta, output)
      assert.ok(readFileSync(output).equals(after), `${what}: its delta by us`)
      assert.is(patched.bytesWritten, after.length)
      assert.is(patched.literalBytes + patched.matchedBytes, after.length)
      // What rdiff has found is found here too.
      assert.is(counts.matchedBytes, patched.matchedBytes, `${what}: matches`)

      await patchFile(old, ourDelta, output, { sparse: index % 2 === 0, share: index % 4 !== 0 })
      assert.ok(readFileSync(output).equals(after), `${what}: our delta by us`)
    }
    assert.equal(leftovers(), [])
  }),
)

test(
  'a sparse file of 64 MiB: its delta is small, and the output has the holes again',
  needs({ swift: true, command: 'rdiff' }, async () => {
    const [old, fresh, signature, delta, output] = ['s.old', 's.new', 's.sig', 's.delta', 's.out'].map(
      scratch,
    ) as [string, string, string, string, string]
    const size = 2 ** 26
    for (const [path, marks] of [
      [old, ['one']],
      [fresh, ['one', 'two']],
    ] as const) {
      const fd = openSync(path, 'w')
      for (const [index, mark] of marks.entries()) writeSync(fd, mark, 2 ** 24 * (index + 1) + 12_345)
      ftruncateSync(fd, size)
      closeSync(fd)
    }
    rdiff('signature', old, signature)
    const made = await deltaFile(signature, fresh, delta)
    assert.ok(made.literalBytes < 100_000)
    const result = await patchFile(old, delta, output, { sparse: true, hash: 'sha256' })
    assert.is(result.bytesWritten, size)
    assert.ok(statSync(output).blocks * 512 < 2 ** 22, `${statSync(output).blocks} blocks`)
    const whole = await patchFile(old, delta, scratch('s.whole'), { hash: 'sha256' })
    assert.is(result.digest, whole.digest)
    rdiff('patch', old, delta, scratch('s.theirs'))
    assert.ok(readFileSync(scratch('s.theirs')).equals(readFileSync(output)))
  }),
)

test.run()
