// The Promela models at a small size; `npm run model` searches them at full size.

import { assert, needs, test, unmet } from '../harness.js'
import { check, MODELS } from './check.js'

for (const model of MODELS) {
  const compiler = (): true | string => unmet({ command: 'gcc' }) ?? true
  test(
    `${model.name}: the model holds`,
    needs({ command: 'spin', when: compiler }, () => {
      const { error, states } = check(model, null, 'quick')
      assert.is(error, null)
      assert.ok(states > 1000)
    }),
  )

  for (const variant of Object.keys(model.broken)) {
    test(
      `${model.name}: ${variant} is found`,
      needs({ command: 'spin', when: compiler }, () => {
        const outcome = check(model, variant, 'quick')
        assert.ok(outcome.expected, `spin says: ${outcome.error ?? 'nothing wrong'}`)
      }),
    )
  }
}

test.run()
