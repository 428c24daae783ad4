// The SQPOLL policy: asked for, granted or refused, and why. A refusal gives a regular ring.
// Run: npx tsx examples/sqpoll-policy.ts       (in a project of your own, import from 'uring/config')

import { availability, buildRing, defaultConfig } from '../src/config/index.js'

console.log(availability().reason)
if (availability().available) {
  for (const mmapBasisActive of [false, true]) {
    const { ring, report } = buildRing({ ...defaultConfig(), sqpoll: true, mmapBasisActive })
    const beside = mmapBasisActive ? 'beside a mapped basis' : 'on its own'
    console.log(
      `SQPOLL ${beside}: ${report.sqpoll.granted ? 'granted' : 'refused'} (${report.sqpoll.reason})`,
    )
    ring.close()
  }
}
