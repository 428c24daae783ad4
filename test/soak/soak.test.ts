// A few seconds of `npm run soak`: nothing is lost. Whether heap and RSS come to rest shows in longer runs alone.

import { assert, needs, test } from '../harness.js'
import { soak } from './soak.js'

test(
  'a short soak loses nothing, and leaves no descriptor, mapping or thread',
  needs({ linux: '6.0' }, async () => {
    const { problems, tally } = await soak({ seconds: 6, seed: 1, isShort: true })
    if (problems.length > 0) assert.unreachable(problems.join('\n'))
    const { connections, fileRounds, cancels, workers, copies } = tally
    for (const count of [connections, fileRounds, cancels, workers, copies]) {
      assert.ok(count > 0, `a load has done nothing: ${JSON.stringify(tally)}`)
    }
  }),
)

test.run()
