// Deltas as tokens: what comes out, what is counted, what is refused.

import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { Uring } from '../../src/index.js'
import { applyDelta, type DeltaToken, openBasis } from '../../src/transfer/index.js'
import { assert, needs, test } from '../harness.js'
import { block, literal, randomDelta, range } from './random-delta.js'
import { leftovers, Random, scratch } from './scratch.js'

const BLOCK = 700
const CONTENT = new Random(3).bytes(3_000_123)
const basisPath = scratch('basis')
const target = scratch('target')
writeFileSync(basisPath, CONTENT)

async function* slowly(tokens: readonly DeltaToken[]): AsyncGenerator<DeltaToken> {
  for (const [index, token] of tokens.entries()) {
    if (index % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    yield token
  }
}

for (const [name, basisOptions, options] of [
  ['a buffered basis', {}, {}],
  ['a buffered basis without sharing', {}, { share: false, depth: 1 }],
  ['a buffered basis with a hash', {}, { hash: 'sha256' }],
  ['a mapped basis', { strategy: 'mmap', writer: 'standard' }, {}],
  ['a mapped basis with a hash', { strategy: 'mmap', writer: 'standard' }, { hash: 'sha256', depth: 3 }],
  ['a mapped basis and a ring', { strategy: 'mmap', writer: 'standard' }, { writer: 'ring', sparse: true }],
  ['node:fs', { strategy: 'buffered', writer: 'standard' }, {}],
] as const) {
  test(`applyDelta() makes what random tokens say, with ${name}`, async () => {
    await using basis = await openBasis(basisPath, basisOptions)
    for (let round = 0; round < 6; round++) {
      const delta = randomDelta(CONTENT, new Random(round * 31 + 5), 8 + round * 12, BLOCK)
      const tokens = round % 2 === 0 ? delta.tokens : slowly(delta.tokens)
      const result = await applyDelta(basis, tokens, target, { blockBytes: BLOCK, ...options })
      assert.ok(readFileSync(target).equals(delta.output), `round ${round}`)
      const types = delta.tokens.map(({ type }) => type)
      assert.is(result.bytesWritten, delta.output.length)
      assert.is(result.literalBytes, delta.literals)
      assert.is(result.matchedBytes, delta.output.length - delta.literals)
      assert.is(result.literalTokens, types.filter((type) => type === 'literal').length)
      assert.is(result.blockTokens, types.filter((type) => type !== 'literal').length)
      assert.is(result.basis?.kind, basis.kind)
      if ('hash' in options) {
        assert.is(result.digest, createHash('sha256').update(delta.output).digest('hex'))
        assert.is(result.sharedBytes, 0)
      }
    }
    assert.equal(leftovers(), [])
  })
}

test('large matches are copied inside the kernel unless that is switched off', async () => {
  await using basis = await openBasis(basisPath)
  const tokens = [literal(Buffer.from('x')), range(5, 2_000_000)]
  const { sharedBytes } = await applyDelta(basis, tokens, target)
  assert.is(sharedBytes, 2_000_000)
  assert.is((await applyDelta(basis, tokens, target, { share: false })).sharedBytes, 0)
  assert.ok(readFileSync(target).subarray(1).equals(CONTENT.subarray(5, 2_000_005)))
})

test('neighbouring blocks are joined, and the last block may be short', async () => {
  await using basis = await openBasis(basisPath)
  const last = Math.ceil(CONTENT.length / BLOCK) - 1
  const tokens = Array.from({ length: last + 1 }, (_, index) => block(index))
  const result = await applyDelta(basis, tokens, target, { blockBytes: BLOCK })
  assert.ok(readFileSync(target).equals(CONTENT))
  assert.is(result.blockTokens, last + 1)
  assert.is(result.sharedBytes, CONTENT.length)
})

test('no tokens make an empty file, without a basis', async () => {
  const result = await applyDelta(null, [], target)
  assert.is(readFileSync(target).length, 0)
  assert.is(result.bytesWritten, 0)
  assert.is(result.basis, null)
})

test('a reference without basis or past its end says which block, and leaves the target alone', async () => {
  await using basis = await openBasis(basisPath)
  writeFileSync(target, 'old')
  const blocks = Math.ceil(CONTENT.length / BLOCK)
  const options = { blockBytes: BLOCK }
  const code = 'ERR_BASIS_RANGE'
  const message = new RegExp(
    `^Block ${blocks} is referred to, of ${blocks} in the basis: requested range extends past`,
  )
  await assert.rejects(applyDelta(basis, [block(0), block(blocks)], target, options), { code, message })
  await assert.rejects(applyDelta(basis, [block(blocks - 1, 2)], target, options), { code, message })
  await assert.rejects(applyDelta(null, [block(7)], target, options), {
    code,
    message: /^Block 7 .*no basis$/,
  })
  await assert.rejects(applyDelta(basis, [range(CONTENT.length, 1)], target), { code })
  await assert.rejects(applyDelta(basis, [range(2 ** 52, 2 ** 52)], target), { code })
  await assert.rejects(applyDelta(basis, [block(0)], target), { code: 'ERR_INVALID_ARG_VALUE' })
  assert.is(readFileSync(target, 'utf8'), 'old')
  assert.equal(leftovers(), [])
})

test('a basis that shrinks meanwhile names the block, and leaves the target alone', async () => {
  const path = scratch('shrinking')
  for (const [strategy, writer, share] of [
    ['buffered', 'ring', true],
    ['buffered', 'ring', false],
    ['mmap', 'standard', true],
  ] as const) {
    writeFileSync(path, CONTENT)
    writeFileSync(target, 'old')
    await using basis = await openBasis(path, { strategy, writer })
    async function* tokens(): AsyncGenerator<DeltaToken> {
      yield range(0, 1000)
      truncateSync(path, 1_000_100)
      yield range(500_000, 2_000_000)
    }
    const expected = { code: 'ERR_BASIS_CHANGED', message: /shrank .*\(block \d+\)$/ }
    await assert.rejects(applyDelta(basis, tokens(), target, { blockBytes: BLOCK, share }), expected)
    assert.is(readFileSync(target, 'utf8'), 'old')
  }
  assert.equal(leftovers(), [])
})

test('a basis that is written to meanwhile is found out, and the target left alone', async () => {
  const path = scratch('written to')
  for (const options of [{}, { strategy: 'mmap', writer: 'standard' }] as const) {
    writeFileSync(path, CONTENT)
    writeFileSync(target, 'old')
    // So that the clock of the file system has gone on when it is written to.
    await new Promise((resolve) => setTimeout(resolve, 20))
    await using basis = await openBasis(path, options)
    async function* tokens(): AsyncGenerator<DeltaToken> {
      yield range(0, 1_000_000)
      const fd = openSync(path, 'r+')
      writeSync(fd, 'other')
      closeSync(fd)
      yield range(1_000_000, 1_000_000)
    }
    await assert.rejects(applyDelta(basis, tokens(), target), { code: 'ERR_BASIS_CHANGED' })
    assert.is(readFileSync(target, 'utf8'), 'old')
  }
  assert.equal(leftovers(), [])
})

test('bad tokens and options are refused', async () => {
  await using basis = await openBasis(basisPath)
  const type = { code: 'ERR_INVALID_ARG_TYPE' }
  const value = { code: 'ERR_INVALID_ARG_VALUE' }
  const outside = { code: 'ERR_OUT_OF_RANGE' }
  const bad = (token: unknown) => applyDelta(basis, [token as DeltaToken], scratch('bad'), { blockBytes: 10 })
  await assert.rejects(bad({ type: 'literal', data: 'text' }), type)
  await assert.rejects(bad({ type: 'other' }), value)
  await assert.rejects(bad(null), value)
  await assert.rejects(bad(block(-1)), outside)
  await assert.rejects(bad(block(0.5)), outside)
  await assert.rejects(bad(block(0, 0)), outside)
  await assert.rejects(bad(range(0, -1)), outside)
  for (const [options, expected] of [
    [{ depth: 0 }, outside],
    [{ durable: 1 }, type],
    [{ hash: 'no' }, value],
    [{ expectedDigest: 'ab' }, value],
    [{ blockSize: 1 }, value],
    [{ writer: 'other' }, value],
    [{ signal: {} }, type],
    [{ onProgress: 1 }, type],
    [{ mode: 0o10000 }, outside],
    [{ maxOutputBytes: -1 }, outside],
  ] as const) {
    await assert.rejects(applyDelta(basis, [], scratch('bad'), options as object), expected)
  }
  assert.throws(() => statSync(scratch('bad')), { code: 'ENOENT' })
  assert.equal(leftovers(), [])
})

test('a digest that is not the expected one, or an output too large, leaves the target alone', async () => {
  await using basis = await openBasis(basisPath)
  writeFileSync(target, 'old')
  const wrong = { hash: 'sha256', expectedDigest: '00' }
  await assert.rejects(applyDelta(basis, [range(0, 10)], target, wrong), { code: 'ERR_DIGEST_MISMATCH' })
  const small = { maxOutputBytes: 1_000_000 }
  for (const tokens of [[range(0, 1_000_001)], [range(0, 1_000_000), literal(Buffer.alloc(1))]]) {
    await assert.rejects(applyDelta(basis, tokens, target, small), { code: 'ERR_OUTPUT_TOO_LARGE' })
  }
  assert.is(readFileSync(target, 'utf8'), 'old')
  const digest = createHash('sha256').update(CONTENT.subarray(0, 10)).digest('hex').toUpperCase()
  await applyDelta(basis, [range(0, 10)], target, {
    hash: 'sha256',
    expectedDigest: digest,
    maxOutputBytes: 10,
  })
  assert.ok(readFileSync(target).equals(CONTENT.subarray(0, 10)))
  assert.equal(leftovers(), [])
})

test('tokens that throw, an abort, a progress callback that throws: each ends it and removes the output', async () => {
  await using basis = await openBasis(basisPath)
  writeFileSync(target, 'old')
  async function* failing(): AsyncGenerator<DeltaToken> {
    yield range(0, 2_000_000)
    throw new Error('no more tokens')
  }
  await assert.rejects(applyDelta(basis, failing(), target), { message: 'no more tokens' })
  const controller = new AbortController()
  async function* aborting(): AsyncGenerator<DeltaToken> {
    for (let index = 0; ; index++) {
      if (index === 5) controller.abort()
      yield range(0, 2_000_000)
    }
  }
  await assert.rejects(applyDelta(basis, aborting(), target, { signal: controller.signal }), {
    name: 'AbortError',
  })
  await assert.rejects(applyDelta(basis, [range(0, 10)], target, { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  const onProgress = (): never => {
    throw new Error('seen enough')
  }
  await assert.rejects(applyDelta(basis, [range(0, 2_000_000)], target, { onProgress }), {
    message: 'seen enough',
  })
  assert.is(readFileSync(target, 'utf8'), 'old')
  assert.equal(leftovers(), [])
})

test('progress ends with all of the output', async () => {
  await using basis = await openBasis(basisPath)
  for (const share of [true, false]) {
    const seen: number[] = []
    const onProgress = ({ bytesWritten }: { bytesWritten: number }): void => void seen.push(bytesWritten)
    await applyDelta(basis, [range(0, 3_000_000), literal(Buffer.alloc(10))], target, { onProgress, share })
    assert.is(seen.at(-1), 3_000_010)
    assert.equal(
      seen,
      [...seen].sort((one, other) => one - other),
    )
  }
})

test('the output keeps the permissions of the old target, follows a symlink, and breaks a hard link', async () => {
  await using basis = await openBasis(basisPath)
  writeFileSync(target, 'old')
  chmodSync(target, 0o640)
  symlinkSync(target, scratch('link'))
  linkSync(target, scratch('other name'))
  await applyDelta(basis, [range(0, 5)], scratch('link'), { durable: true })
  assert.is(statSync(target).mode & 0o777, 0o640)
  assert.ok(readFileSync(target).equals(CONTENT.subarray(0, 5)))
  assert.is(readFileSync(scratch('other name'), 'utf8'), 'old')
  await applyDelta(basis, [range(0, 5)], target, { mode: 0o600 })
  assert.is(statSync(target).mode & 0o777, 0o600)
  await applyDelta(basis, [], scratch('x'.repeat(255)))
  assert.is(statSync(scratch('x'.repeat(255))).size, 0)
})

test('a directory, the basis itself under any name, a folder that is missing: refused, nothing touched', async () => {
  await using basis = await openBasis(basisPath)
  mkdirSync(scratch('folder'))
  linkSync(basisPath, scratch('basis again'))
  symlinkSync(basisPath, scratch('basis link'))
  await assert.rejects(applyDelta(basis, [], scratch('folder')), { code: 'EISDIR' })
  for (const name of ['basis', 'basis again', 'basis link']) {
    await assert.rejects(applyDelta(basis, [], scratch(name)), {
      code: 'ERR_TARGET_IS_SOURCE',
      message: /^The output is the basis itself, '/,
    })
  }
  await assert.rejects(applyDelta(basis, [], scratch('none/output')), { code: 'ENOENT' })
  assert.ok(readFileSync(basisPath).equals(CONTENT))
})

test(
  'a ring of the caller serves, and one that is closed is refused',
  needs({ ring: true }, async () => {
    await using basis = await openBasis(basisPath)
    const uring = Uring.open({ sqEntries: 8, cqEntries: 8 })
    const delta = randomDelta(CONTENT, new Random(77), 60, BLOCK)
    const options = { uring, blockBytes: BLOCK, share: false, depth: 64 }
    const result = await applyDelta(basis, delta.tokens, target, options)
    assert.ok(readFileSync(target).equals(delta.output))
    assert.is(result.backend, 'io_uring')
    assert.ok(uring.counters.completed > 10)
    await uring.close()
    await assert.rejects(applyDelta(basis, [], target, { uring }), { code: 'ERR_INVALID_STATE' })
  }),
)

test(
  'the output has the owner and the permissions of the file that it replaces',
  needs({ root: true }, async () => {
    const mine = scratch('owned')
    writeFileSync(mine, 'old')
    chownSync(mine, 12345, 12346)
    chmodSync(mine, 0o640)
    await using basis = await openBasis(basisPath)
    await applyDelta(basis, [literal(Buffer.from('new'))], mine)
    const { uid, gid, mode } = statSync(mine)
    assert.equal([uid, gid, mode & 0o7777], [12345, 12346, 0o640])
  }),
)

test.run()
