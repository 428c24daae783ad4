import { prepNop } from '../../../src/ring/prep/index.js'
import { registerPersonality, unregisterPersonality } from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import { assert, needs, test } from '../../harness.js'
import { result } from './fixture.js'

test(
  'registerPersonality() gives an id that an operation can carry, until it is unregistered',
  needs({ linux: '5.6' }, () => {
    using ring = Ring.open({ entries: 8 })
    const first = registerPersonality(ring)
    const second = registerPersonality(ring)
    assert.ok(first > 0 && second > 0 && first !== second)
    const nop = (id: number): number | string => result(ring, (sqe) => prepNop(sqe).setPersonality(id))
    assert.equal([nop(0), nop(first), nop(second), nop(second + 1)], [0, 0, 0, 'EINVAL'])
    unregisterPersonality(ring, first)
    assert.equal([nop(first), nop(second)], ['EINVAL', 0])
  }),
)

test(
  'unregisterPersonality() throws EINVAL for an id that is not registered',
  needs({ linux: '5.6' }, () => {
    using ring = Ring.open({ entries: 8 })
    const refusal = { code: 'EINVAL', syscall: 'io_uring_register', message: /no personality 7/ }
    assert.throws(() => unregisterPersonality(ring, 7), refusal)
    assert.throws(() => unregisterPersonality(ring, 0), { code: 'ERR_OUT_OF_RANGE' })
  }),
)

test.run()
