// The corpus, and a batch of each kind with seeds that stay the same. `npm run fuzz` goes on with others.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, needs, test } from '../harness.js'
import { applySimply, checkDelta, corpus, makeBasis } from './delta.js'
import { buildProgram, type Kind, runBatch } from './main.js'

/** Of the corpus: those that are deltas. */
const GOOD = [
  'copies.hex',
  'empty.hex',
  'last-byte.hex',
  'long-literals.hex',
  'mixed.hex',
  'short-literal.hex',
  'whole-basis.hex',
]

test('the simple applier tells the deltas of the corpus from what is none', () => {
  const basis = makeBasis()
  const good = [...corpus()].filter(([, delta]) => applySimply(basis, delta) !== null).map(([name]) => name)
  assert.equal(good.sort(), GOOD)
})

test('patchFile takes every delta of the corpus as the simple applier does', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'uring-corpus-'))
  try {
    const basis = makeBasis()
    writeFileSync(join(folder, 'basis'), basis)
    for (const [name, delta] of corpus()) {
      try {
        await checkDelta(delta, basis, folder)
      } catch (error) {
        throw new Error(`${name}: ${(error as Error).message}`)
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

const SEEDS: Readonly<Record<Kind, number>> = { api: 20261121, delta: 20261122 }

for (const kind of ['api', 'delta'] as const) {
  test(
    `a batch of random ${kind === 'api' ? 'calls' : 'deltas'} ends without a crash, a hang or a bad answer`,
    needs({ linux: '6.9' }, async () => {
      const { failure, inputs } = await runBatch(await buildProgram(), kind, SEEDS[kind], 150)
      if (failure !== null) assert.unreachable(failure)
      assert.ok(inputs >= 150)
    }),
  )
}

test.run()
