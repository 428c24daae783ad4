// Everything of transfers without io_uring: the same results, by node:fs.

import { readFileSync, writeFileSync } from 'node:fs'
import { Uring } from '../../src/index.js'
import {
  applyDelta,
  type BasisOptions,
  deltaFile,
  openBasis,
  patchFile,
  signatureFile,
} from '../../src/transfer/index.js'
import { assert, needs, test } from '../harness.js'
import { randomDelta, range } from './random-delta.js'
import { leftovers, Random, rdiff, scratch } from './scratch.js'

const OLD = new Random(61).bytes(2_500_000)
const NEW = Buffer.concat([OLD.subarray(0, 1_300_000), new Random(62).bytes(70_000), OLD.subarray(1_400_000)])
const BLOCK = 500
const [old, fresh, signature, delta, target] = [
  scratch('old'),
  scratch('new'),
  scratch('signature'),
  scratch('delta'),
  scratch('target'),
]
writeFileSync(old, OLD)
writeFileSync(fresh, NEW)
// Looked at on every call, so it may be set after the imports.
process.env['URING_DISABLE'] = '1'

test('signature, delta and patch are byte for byte those of a ring', async () => {
  const counts: unknown[] = []
  const files: Buffer[][] = []
  for (const disabled of ['1', '0']) {
    process.env['URING_DISABLE'] = disabled
    const made = [
      await signatureFile(old, signature),
      await deltaFile(signature, fresh, delta),
      await patchFile(old, delta, target, { basis: 'buffered', share: false, hash: 'sha1', durable: true }),
    ]
    const backend = Uring.available ? 'io_uring' : 'node:fs'
    assert.ok(made.every((result) => result.backend === backend))
    counts.push(made.map(({ bytesWritten, digest }) => ({ bytesWritten, digest })))
    files.push([signature, delta, target].map((path) => readFileSync(path)))
  }
  process.env['URING_DISABLE'] = '1'
  assert.equal(counts[0], counts[1])
  for (const [index, bytes] of files[0]!.entries()) assert.ok(bytes.equals(files[1]![index]!))
  assert.ok(files[0]![2]!.equals(NEW))
})

for (const options of [
  {},
  { strategy: 'mmap', writer: 'standard' },
  { strategy: 'buffered', writer: 'standard' },
] as const satisfies readonly BasisOptions[]) {
  for (const wishes of [{}, { hash: 'md5' }, { sparse: true }, { share: false, depth: 2 }] as const) {
    test(`random tokens, ${JSON.stringify(options)} ${JSON.stringify(wishes)}`, async () => {
      await using basis = await openBasis(old, options)
      const made = randomDelta(OLD, new Random(17), 40, BLOCK)
      const result = await applyDelta(basis, made.tokens, target, { blockBytes: BLOCK, ...wishes })
      assert.ok(readFileSync(target).equals(made.output))
      assert.is(result.backend, 'node:fs')
      await assert.rejects(applyDelta(basis, [range(0, OLD.length + 1)], target), { code: 'ERR_BASIS_RANGE' })
    })
  }
}

test(
  'a delta of rdiff applies, and one of ours by rdiff',
  needs({ command: 'rdiff' }, async () => {
    rdiff('signature', old, signature)
    rdiff('delta', signature, fresh, delta)
    const result = await patchFile(old, delta, target)
    assert.is(result.backend, 'node:fs')
    // Without a ring the writer is write(2), and a large basis is mapped.
    assert.is(result.basis.kind, 'mapped')
    assert.ok(readFileSync(target).equals(NEW))
    await deltaFile(signature, fresh, delta)
    rdiff('patch', old, delta, target)
    assert.ok(readFileSync(target).equals(NEW))
  }),
)

test('errors and aborts are the same', async () => {
  writeFileSync(target, 'old')
  writeFileSync(delta, 'no delta')
  await assert.rejects(patchFile(old, delta, target), { code: 'ERR_DELTA_FORMAT' })
  await assert.rejects(patchFile(scratch('none'), delta, target), { code: 'ENOENT' })
  await using basis = await openBasis(old)
  const signal = AbortSignal.abort()
  await assert.rejects(applyDelta(basis, [range(0, 1_000_000)], target, { signal }), { name: 'AbortError' })
  assert.is(readFileSync(target, 'utf8'), 'old')
  assert.equal(leftovers(), [])
})

test.run()
