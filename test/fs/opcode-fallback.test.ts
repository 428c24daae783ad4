// A kernel that lacks some operations: those calls alone are Node's, with the same outcome.

import nodeSync from 'node:fs'
import { probe } from '../../src/config/index.js'
import { open, readFile, writeFile } from '../../src/fs/index.js'
import { NEEDS, pretendOpcodes, ringFor } from '../../src/fs/ring-choice.js'
import { defaultUring } from '../../src/runtime/index.js'
import { assert, needs, test } from '../harness.js'
import { scaled } from '../patience.js'
import { compareSequences } from './random-operations.js'
import { scratch } from './scratch.js'

const ALL: readonly string[] = [...new Set(Object.values(NEEDS).flat())]

async function lacking(opcodes: readonly string[], body: () => Promise<unknown>): Promise<void> {
  pretendOpcodes(probe().opcodes.filter((opcode) => !opcodes.includes(opcode)))
  try {
    await body()
  } finally {
    pretendOpcodes(null)
  }
}

test(
  'a call has a ring where the kernel has all that it needs',
  needs({ ring: true }, () => {
    const { opcodes } = probe()
    for (const [need, all] of Object.entries(NEEDS)) {
      const hasAll = all.every((opcode) => opcodes.includes(opcode))
      assert.is(ringFor(need as keyof typeof NEEDS) !== null, hasAll, need)
    }
  }),
)

test(
  'without any of its operations a call is served all the same',
  needs({ ring: true }, async () => {
    for (const opcode of ALL) await lacking([opcode], () => compareSequences(77, scaled(400)))
  }),
)

test(
  'with none at all everything is Node’s',
  needs({ ring: true }, async () => {
    await lacking(ALL, async () => {
      const before = defaultUring()!.counters.submitted
      await compareSequences(78, scaled(600))
      assert.is(defaultUring()!.counters.submitted, before)
    })
  }),
)

test(
  'durable and direct hold without the ring’s operations',
  needs({ ring: true }, async () => {
    const path = scratch('fallback')
    await lacking(ALL, async () => {
      await writeFile(path, 'durable', { durable: true })
      await writeFile(path, '!', { durable: true, flag: 'a' })
      assert.is(await readFile(path, { direct: true, encoding: 'utf8' }), 'durable!')
      const handle = await open(path, 'a')
      await handle.appendFile('?', { durable: true })
      await handle.close()
      assert.is(nodeSync.readFileSync(path, 'utf8'), 'durable!?')
    })
  }),
)

test.run()
