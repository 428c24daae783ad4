// Paths from others, kept below a folder by openat2(2) while somebody moves things about.

import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Uring } from '../../src/index.js'
import {
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../../src/ring/index.js'
import { assert, needs, test } from '../harness.js'
import { outcome, temporaryFolder } from './fixture.js'

const here = needs.bind(null, { opcode: 'IORING_OP_OPENAT2' } as const)
const folder = temporaryFolder()
const inside = join(folder, 'inside')
mkdirSync(join(inside, 'sub'), { recursive: true })
writeFileSync(join(folder, 'secret'), 'secret')
writeFileSync(join(inside, 'public'), 'public')
writeFileSync(join(inside, 'secret'), 'not that one')
symlinkSync('../secret', join(inside, 'relative'))
symlinkSync(join(folder, 'secret'), join(inside, 'absolute'))
symlinkSync('public', join(inside, 'harmless'))
const dirFd = openSync(inside, constants.O_RDONLY | constants.O_DIRECTORY)

async function open(uring: Uring, name: string, resolve: number): Promise<unknown> {
  const result = await outcome(uring.open(name, { dirFd, resolve }))
  if (typeof result !== 'number') return result
  const text = readFileSync(result, 'utf8')
  closeSync(result)
  return text
}

test(
  'a path stays beneath its folder, whatever is in it',
  here(async () => {
    await using uring = Uring.open()
    const attempts = [
      '../secret',
      'sub/../../secret',
      join(folder, 'secret'),
      'relative',
      'absolute',
      '..',
      '/',
    ]
    for (const name of attempts) assert.is(await open(uring, name, RESOLVE_BENEATH), 'EXDEV', name)
    assert.is(await open(uring, 'public', RESOLVE_BENEATH), 'public')
    assert.is(await open(uring, 'sub/../harmless', RESOLVE_BENEATH), 'public')
    // Without a limit they lead out.
    assert.is(await open(uring, 'relative', 0), 'secret')
  }),
)

test(
  'the folder can be taken for the root, and links refused',
  here(async () => {
    await using uring = Uring.open()
    assert.is(await open(uring, '../../secret', RESOLVE_IN_ROOT), 'not that one')
    assert.is(await open(uring, '/public', RESOLVE_IN_ROOT), 'public')
    assert.is(await open(uring, 'harmless', RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), 'ELOOP')
    const magic = { resolve: RESOLVE_NO_MAGICLINKS }
    assert.is(await outcome(uring.open('/proc/self/cwd', magic)), 'ELOOP')
  }),
)

test(
  'no race leads out: names that are exchanged for links all the while',
  here(async () => {
    await using uring = Uring.open()
    const name = join(inside, 'swapped')
    const counts: Record<string, number> = {}
    for (let round = 0; round < 300; round++) {
      const reads = Array.from({ length: 4 }, () => open(uring, 'swapped', RESOLVE_BENEATH))
      if (round % 2 === 0) symlinkSync('../secret', `${name}.new`)
      else writeFileSync(`${name}.new`, 'file')
      renameSync(`${name}.new`, name)
      for (const result of await Promise.all(reads))
        counts[String(result)] = (counts[String(result)] ?? 0) + 1
    }
    unlinkSync(name)
    const other = Object.keys(counts).filter(
      (result) => !['file', 'EXDEV', 'ENOENT', 'EAGAIN'].includes(result),
    )
    assert.equal(other, [])
    assert.ok(counts['file']! > 0 && counts['EXDEV']! > 0, JSON.stringify(counts))
  }),
)

test.run()
