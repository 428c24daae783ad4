// On a file system that can share blocks, large matches cost no space.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { applyDelta, openBasis } from '../../src/transfer/index.js'
import { assert, needs, test } from '../harness.js'
import { range } from './random-delta.js'
import { Random, scratch } from './scratch.js'

const MEBIBYTE = 2 ** 20
const BASIS_MEBIBYTES = 32
const disk = scratch('disk')

function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0
}

/** Mounts an XFS of 400 MiB, once. */
function mountXfs(): true | string {
  const image = scratch('image')
  writeFileSync(image, '')
  truncateSync(image, 400 * MEBIBYTE)
  mkdirSync(disk)
  if (!run('mkfs.xfs', '-q', '-m', 'reflink=1', image)) return 'mkfs.xfs makes no file system here'
  if (!run('mount', '-o', 'loop', image, disk)) return 'an XFS image cannot be mounted here'
  process.prependListener('exit', () => spawnSync('umount', [disk]))
  return true
}

/** What the file system has in use, in MiB, when everything is written. */
function usedMebibytes(): number {
  spawnSync('sync', ['-f', disk])
  const { blocks, bfree, bsize } = statfsSync(disk)
  return ((blocks - bfree) * bsize) / MEBIBYTE
}

test(
  'an aligned match shares its blocks with the basis; with share: false it takes space of its own',
  needs({ root: true, command: 'mkfs.xfs', when: mountXfs }, async () => {
    const path = `${disk}/basis`
    const content = new Random(9).bytes(BASIS_MEBIBYTES * MEBIBYTE)
    writeFileSync(path, content)
    await using basis = await openBasis(path)
    const before = usedMebibytes()
    const tokens = [range(MEBIBYTE, 30 * MEBIBYTE), { type: 'literal', data: Buffer.from('end') } as const]
    const expected = Buffer.concat([content.subarray(MEBIBYTE, 31 * MEBIBYTE), Buffer.from('end')])

    const shared = await applyDelta(basis, tokens, `${disk}/shared`)
    assert.is(shared.sharedBytes, 30 * MEBIBYTE)
    assert.ok(readFileSync(`${disk}/shared`).equals(expected))
    const between = usedMebibytes()
    assert.ok(between - before < 2, `${between - before} MiB were taken`)

    await applyDelta(basis, tokens, `${disk}/own`, { share: false })
    assert.ok(readFileSync(`${disk}/own`).equals(expected))
    assert.ok(usedMebibytes() - between > 28)

    // What is not aligned is copied by the kernel all the same.
    const odd = await applyDelta(basis, [range(123, 20 * MEBIBYTE)], `${disk}/odd`)
    assert.is(odd.sharedBytes, 20 * MEBIBYTE)
    assert.ok(readFileSync(`${disk}/odd`).equals(content.subarray(123, 123 + 20 * MEBIBYTE)))
  }),
)

test.run()
