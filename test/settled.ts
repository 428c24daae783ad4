// Imported by tests that count descriptors: waits until the loader of TypeScript has opened and closed its own, which it
// does beside the first tests in Node 22 and later.

import { readdirSync } from 'node:fs'
import { setTimeout as nap } from 'node:timers/promises'

const LOOKS = 10
const MOST_LOOKS = 100

const descriptors = (): string => readdirSync('/proc/self/fd').join()

let same = 0
let last = descriptors()
for (let look = 0; look < MOST_LOOKS && same < LOOKS; look++) {
  await nap(10)
  const now = descriptors()
  same = now === last ? same + 1 : 0
  last = now
}
