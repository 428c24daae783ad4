// The list of file mappings, when a thread was terminated while it changed it; test/runtime/mapped-buffers.test.ts has the
// rest.

import { isInFileMapping, listFileMapping, liveFileMappings } from '../../src/syscalls/file-mappings.js'
import { assert, test } from '../harness.js'

// Words of the list, as that file has them.
const LOCK = 1
const SEQUENCE = 2

const MAPPING = { address: 2 ** 40, length: 8192 }
const OTHER = { address: 2 ** 41, length: 4096 }

/** What a worker leaves that is terminated in the middle of a change. */
function terminateInChange(): void {
  Atomics.store(liveFileMappings, LOCK, 1)
  Atomics.add(liveFileMappings, SEQUENCE, 1)
}

test('isInFileMapping() ends, and says yes, when a thread was terminated in the middle of a change', () => {
  const listed = listFileMapping(MAPPING)
  assert.is(isInFileMapping(OTHER.address, 1), false)
  terminateInChange()
  for (let look = 0; look < 10; look++) assert.is(isInFileMapping(OTHER.address, 1), true)
  listed.release()
})

test('the next change takes the lock over, and leaves a list that can be looked at', () => {
  const listed = listFileMapping(MAPPING)
  terminateInChange()
  const other = listFileMapping(OTHER)
  assert.is(isInFileMapping(MAPPING.address + 8191, 1), true)
  assert.is(isInFileMapping(OTHER.address, 1), true)
  assert.is(isInFileMapping(OTHER.address + 4096, 1), false)
  other.release()
  assert.is(isInFileMapping(OTHER.address, 1), false)
  listed.release()
  assert.is(isInFileMapping(MAPPING.address, 1), false)
})

test.run()
