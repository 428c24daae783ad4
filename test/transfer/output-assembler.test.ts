// The order in which pieces of an output are read, hashed and written, with a basis that answers when it is told to.

import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Basis } from '../../src/transfer/basis.js'
import { standardPath } from '../../src/transfer/data-path.js'
import { type AssemblerOptions, OutputAssembler } from '../../src/transfer/output-assembler.js'
import { assert, test } from '../harness.js'
import { Random, scratch } from './scratch.js'

const PIECE = 65536
const CONTENT = new Random(7).bytes(4 * PIECE)

/** A basis whose reads wait until they are answered. */
class SlowBasis {
  readonly kind = 'buffered'
  readonly answers: (() => void)[] = []

  copyNow(): boolean {
    return false
  }

  readInto(target: Uint8Array, offset: number): Promise<void> {
    return new Promise((resolve) => {
      this.answers.push(() => {
        target.set(CONTENT.subarray(offset, offset + target.byteLength))
        resolve()
      })
    })
  }
}

function assemblerOn(fd: number, basis: SlowBasis, more: Partial<AssemblerOptions> = {}): OutputAssembler {
  return new OutputAssembler({
    data: standardPath,
    fd,
    basis: basis as unknown as Basis,
    hash: null,
    sparse: false,
    share: false,
    mappedWrite: () => Promise.reject(new Error('nothing is mapped')),
    depth: 8,
    maxBytes: CONTENT.length,
    signal: undefined,
    onProgress: undefined,
    ...more,
  })
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('pieces are hashed in their order, though they are read in another one', async () => {
  const path = scratch('hashed')
  const fd = openSync(path, 'w')
  const basis = new SlowBasis()
  const hash = createHash('sha256')
  const assembler = assemblerOn(fd, basis, { hash })
  for (let piece = 0; piece < 4; piece++) await assembler.range(piece * PIECE, PIECE)
  const finishing = assembler.finish()
  assert.is(basis.answers.length, 4)
  for (const answer of basis.answers.reverse()) {
    answer()
    await turn()
  }
  await finishing
  closeSync(fd)
  assert.ok(readFileSync(path).equals(CONTENT))
  assert.is(hash.digest('hex'), createHash('sha256').update(CONTENT).digest('hex'))
})

test('an output that is given up waits for the reads into its memory', async () => {
  const fd = openSync(scratch('given up'), 'w')
  const basis = new SlowBasis()
  const assembler = assemblerOn(fd, basis, { hash: createHash('sha256') })
  await assembler.range(0, 2 * PIECE)
  await assembler.literal(Buffer.from('a beginning'))
  let isOver = false
  const giving = assembler.abandon().then(() => {
    isOver = true
  })
  for (const answer of basis.answers) {
    await turn()
    assert.is(isOver, false)
    answer()
  }
  await giving
  closeSync(fd)
})

test.run()
