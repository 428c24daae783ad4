// A few kills; `npm run crash` makes 500.

import { assert, needs, test } from '../harness.js'
import { buildVictim, crash } from './crash.js'

const KILLS = 10

for (const kind of ['append', 'copy', 'patch'] as const) {
  test(
    `${KILLS} kills: ${kind === 'append' ? 'no acknowledged append is lost' : `no ${kind} leaves a half written target`}`,
    needs({ linux: '6.0' }, async () => {
      const { kills, problems } = await crash(kind, KILLS, 1, await buildVictim())
      if (problems.length > 0) assert.unreachable(problems.join('\n'))
      assert.is(kills, KILLS)
    }),
  )
}

test.run()
