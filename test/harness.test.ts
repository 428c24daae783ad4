// needs() and unmet(): each requirement, met and not.

import { assert, kernel, kernelIsAtLeast, needs, test, unmet } from './harness.js'

test('unmet() is null when nothing is required', () => {
  assert.is(unmet({}), null)
})

test('unmet() names the kernel that is missing', () => {
  assert.match(unmet({ linux: '99.0' }) ?? '', /^needs Linux 99\.0, this is /)
})

test('kernelIsAtLeast() compares the parts as numbers', () => {
  if (process.platform !== 'linux') return assert.not(kernelIsAtLeast('0.1'))
  const [major, minor] = kernel().split('.').map(Number) as [number, number]
  assert.ok(kernelIsAtLeast(`${major}.${minor}`))
  assert.ok(kernelIsAtLeast(`${major - 1}.${minor + 100}`))
  assert.not(kernelIsAtLeast(`${major}.${minor + 1}`))
  assert.not(kernelIsAtLeast(`${major + 1}.0`))
})

test('unmet() looks for programs in PATH', () => {
  assert.is(unmet({ command: 'no-such-program-anywhere' }), 'needs the program no-such-program-anywhere')
  assert.is(unmet({ command: 'ls' }), null)
})

test('unmet() compares the effective uid', () => {
  assert.is(unmet({ root: true }), process.geteuid?.() === 0 ? null : 'needs root')
})

test('unmet() passes on the reason of `when`', () => {
  assert.is(unmet({ when: () => 'no luck' }), 'no luck')
  assert.is(unmet({ when: () => true }), null)
})

test(
  'unmet() asks the kernel for opcodes, features and setup flags',
  needs({ linux: '5.6' }, () => {
    assert.is(unmet({ opcode: 'IORING_OP_READ', feature: 'IORING_FEAT_NODROP' }), null)
    assert.is(unmet({ register: 'IORING_REGISTER_PROBE', setup: 'IORING_SETUP_CLAMP' }), null)
    // DEFER_TASKRUN alone is refused by every kernel, by those that know it and those that do not.
    assert.match(unmet({ setup: 'IORING_SETUP_DEFER_TASKRUN' }) ?? '', /IORING_SETUP_DEFER_TASKRUN.*EINVAL/)
  }),
)

test('needs() asks nothing before test() is given its result', () => {
  let asked = false
  needs(
    {
      when: () => {
        asked = true
        return true
      },
    },
    () => {},
  )
  assert.not(asked)
})

function fails(body: () => void): boolean {
  try {
    body()
    return false
  } catch {
    return true
  }
}

test('assert.throws() tells one error class from another', () => {
  const throwRange = (): void => {
    throw new RangeError('too big')
  }
  assert.throws(throwRange)
  assert.throws(throwRange, RangeError)
  assert.throws(throwRange, Error)
  assert.throws(throwRange, /too/)
  assert.throws(throwRange, { name: 'RangeError', message: 'too big' })
  assert.throws(throwRange, { message: /big$/ })
  assert.throws(throwRange, (error: Error) => error.message.length === 7)
  assert.ok(fails(() => assert.throws(throwRange, TypeError)))
  assert.ok(fails(() => assert.throws(throwRange, /small/)))
  assert.ok(fails(() => assert.throws(throwRange, { code: 'ERR_OUT_OF_RANGE' })))
  assert.ok(fails(() => assert.throws(throwRange, () => false)))
  assert.ok(fails(() => assert.throws(() => {})))
  assert.ok(fails(() => assert.throws(() => assert.ok(false))))
})

test('assert.rejects() waits for the rejection', async () => {
  await assert.rejects(Promise.reject(new TypeError('no')), TypeError)
  await assert.rejects(async () => {
    throw new Error('later')
  }, /later/)
  let failed = false
  await assert.rejects(Promise.resolve(1)).catch(() => {
    failed = true
  })
  assert.ok(failed)
})

test.run()
