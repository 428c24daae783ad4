// On a file system that can share blocks, large matches cost no space.

import { spawnSync } from 'node:child_process'
import { readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { applyDelta, openBasis } from '../../src/transfer/index.js'
import { hasXfsDisk, xfsDisk } from '../file-systems.js'
import { assert, needs, test } from '../harness.js'
import { range } from './random-delta.js'
import { Random, scratch } from './scratch.js'

const MEBIBYTE = 2 ** 20
const BASIS_MEBIBYTES = 32

/** What the file system has in use, in MiB, when everything is written. */
function usedMebibytes(disk: string): number {
  spawnSync('sync', ['-f', disk])
  const { blocks, bfree, bsize } = statfsSync(disk)
  return ((blocks - bfree) * bsize) / MEBIBYTE
}

test(
  'an aligned match shares its blocks with the basis; with share: false it takes space of its own',
  needs({ root: true, command: 'mkfs.xfs', when: hasXfsDisk }, async () => {
    using mounted = xfsDisk(scratch())
    const disk = mounted.path
    const path = `${disk}/basis`
    const content = new Random(9).bytes(BASIS_MEBIBYTES * MEBIBYTE)
    writeFileSync(path, content)
    await using basis = await openBasis(path)
    const before = usedMebibytes(disk)
    const tokens = [range(MEBIBYTE, 30 * MEBIBYTE), { type: 'literal', data: Buffer.from('end') } as const]
    const expected = Buffer.concat([content.subarray(MEBIBYTE, 31 * MEBIBYTE), Buffer.from('end')])

    const shared = await applyDelta(basis, tokens, `${disk}/shared`)
    assert.is(shared.sharedBytes, 30 * MEBIBYTE)
    assert.ok(readFileSync(`${disk}/shared`).equals(expected))
    const between = usedMebibytes(disk)
    assert.ok(between - before < 2, `${between - before} MiB were taken`)

    await applyDelta(basis, tokens, `${disk}/own`, { share: false })
    assert.ok(readFileSync(`${disk}/own`).equals(expected))
    assert.ok(usedMebibytes(disk) - between > 28)

    // What is not aligned is copied by the kernel all the same.
    const odd = await applyDelta(basis, [range(123, 20 * MEBIBYTE)], `${disk}/odd`)
    assert.is(odd.sharedBytes, 20 * MEBIBYTE)
    assert.ok(readFileSync(`${disk}/odd`).equals(content.subarray(123, 123 + 20 * MEBIBYTE)))
  }),
)

test.run()
