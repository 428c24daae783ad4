// Credentials that operations are issued with, whatever those of the thread are by then.

import { closeSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { registerPersonality } from '../../src/ring/index.js'
import { assert, needs, test } from '../harness.js'
import { outcome, temporaryFolder } from './fixture.js'
import { openUring } from './open-uring.js'

const here = needs.bind(null, { linux: '5.6' } as const)

test(
  'operations with a personality have the rights that its credentials have',
  needs({ linux: '5.6', root: true }, async () => {
    const folder = join(temporaryFolder(), 'of root')
    mkdirSync(folder, { mode: 0o700 })
    writeFileSync(join(folder, 'secret'), 'secret')
    await using uring = openUring()
    const root = uring.registerPersonality()
    process.seteuid!(65534)
    try {
      const nobody = uring.registerPersonality()
      const open = (options: object): Promise<unknown> =>
        outcome(uring.open(join(folder, 'secret'), options).then(closeSync))
      assert.is(await open({}), 'EACCES')
      assert.is(await open({ personality: root }), undefined)
      process.seteuid!(0)
      assert.is(await open({}), undefined)
      assert.is(await open({ personality: nobody }), 'EACCES')
    } finally {
      process.seteuid!(0)
    }
  }),
)

test(
  'what is issued before its personality is unregistered still has it',
  here(async () => {
    await using uring = openUring()
    const id = uring.registerPersonality()
    const issued = uring.nop({ personality: id })
    uring.unregisterPersonality(id)
    await issued
    assert.is(await outcome(uring.nop({ personality: id })), 'EINVAL')
  }),
)

test(
  'an id that is none, one that is not registered, and a closed ring are refused',
  here(async () => {
    const uring = openUring()
    assert.throws(() => uring.unregisterPersonality(7), { code: 'EINVAL', syscall: 'io_uring_register' })
    assert.throws(() => uring.unregisterPersonality(0), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => uring.unregisterPersonality('1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
    const { ring } = uring.driver
    await uring.close()
    assert.throws(() => uring.registerPersonality(), { code: 'EBADF' })
    assert.throws(() => uring.unregisterPersonality(1), { code: 'EBADF' })
    assert.throws(() => registerPersonality(ring), { code: 'ERR_INVALID_STATE' })
  }),
)

test.run()
