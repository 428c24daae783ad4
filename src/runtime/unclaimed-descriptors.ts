// Finds the descriptors that operations opened for a thread which ended before it took in their CQEs. A
// thread shows the kernel that it has taken a CQE only once the descriptor is noted elsewhere.

import type { CompletionMemory } from '../ring/index.js'
import { viewMemory } from '../syscalls/libc.js'
import { MAX_SLOTS, OPENS } from './slot.js'

/** The descriptors in the queue of a thread that has ended. @param memory - Still mapped. */
export function unclaimedDescriptors({
  address,
  length,
  headAt,
  tailAt,
  cqesAt,
  entries,
}: CompletionMemory): number[] {
  const words = new Int32Array(viewMemory(address, length), 0, length >>> 2)
  const tail = Atomics.load(words, tailAt)
  const fds: number[] = []
  for (let head = Atomics.load(words, headAt); head !== tail; head = (head + 1) | 0) {
    const at = cqesAt + ((head & (entries - 1)) << 2)
    const [low, high, res] = [words[at]! >>> 0, words[at + 1]! >>> 0, words[at + 2]!]
    if (low < MAX_SLOTS && (high & OPENS) !== 0 && res >= 0) fds.push(res)
  }
  return fds
}
