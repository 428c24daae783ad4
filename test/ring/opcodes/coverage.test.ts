// Every opcode has a test in this folder that names it as its requirement, so one that is added to the tables cannot be
// forgotten here.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { opcodePreps } from '../../../src/ring/prep/index.js'
import { assert, test } from '../../harness.js'

const folder = dirname(fileURLToPath(import.meta.url))
const sources = readdirSync(folder)
  .filter((name) => name.endsWith('.test.ts') && name !== 'coverage.test.ts')
  .map((name) => readFileSync(join(folder, name), 'utf8'))

// These two are tested on kernels that lack them as well, so their tests ask for the setup flag alone.
const WITHOUT_REQUIREMENT = new Set(['IORING_OP_NOP128', 'IORING_OP_URING_CMD128'])

test('every opcode is what some test here needs', () => {
  const wanted = new Set(sources.flatMap((source) => source.match(/(?<=['"])IORING_OP_\w+(?=['"])/g) ?? []))
  const missing = Object.keys(opcodePreps).filter(
    (name) => !wanted.has(name) && !WITHOUT_REQUIREMENT.has(name),
  )
  assert.equal(missing, [])
})

test('every prep function is called by some test here', () => {
  const missing = Object.values(opcodePreps)
    .flat()
    .filter((prep) => !sources.some((source) => source.includes(`${prep}(`) || source.includes(`, ${prep})`)))
  assert.equal(missing, [])
})

test.run()
