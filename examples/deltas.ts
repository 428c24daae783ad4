// A file rebuilt from an older one and a delta, in the formats of rdiff; and what a mapped basis means for SQPOLL.
// Run: npx tsx examples/deltas.ts       (in a project of your own, import from 'uring/transfer')

import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deltaFile, openBasis, patchFile, planTransfer, signatureFile } from '../src/transfer/index.js'

const folder = await mkdtemp(join(tmpdir(), 'uring-deltas-'))
const file = (name: string): string => join(folder, name)
try {
  const old = randomBytes(4_000_000)
  await writeFile(file('old'), old)
  await writeFile(
    file('new'),
    Buffer.concat([old.subarray(0, 1_000_000), Buffer.from('fresh'), old.subarray(1_000_000)]),
  )

  await signatureFile(file('old'), file('signature'))
  await deltaFile(file('signature'), file('new'), file('delta'))
  const { matchedBytes } = await patchFile(file('old'), file('delta'), file('rebuilt'))
  const isSame = (await readFile(file('rebuilt'))).equals(await readFile(file('new')))
  console.log(
    `${(await stat(file('delta'))).size} bytes of delta, ${matchedBytes} of the old file: ${isSame}`,
  )

  for (const strategy of ['buffered', 'mmap'] as const) {
    const basis = await openBasis(file('old'), { strategy, writer: 'standard' })
    const plan = planTransfer({ basis, config: { sqpoll: true } })
    const refusals = plan.refusals.map(({ reason }) => reason).join() || 'none'
    console.log(`basis ${basis.kind}, refused: ${refusals}`)
    await basis.close()
  }
} finally {
  await rm(folder, { recursive: true })
}
