import nodeFs from 'node:fs/promises'
import * as named from '../../src/fs/index.js'
import promises, { open } from '../../src/fs/index.js'
import { assert, test } from '../harness.js'

/** What uring/fs has beyond Node. */
const EXTRAS = ['readFiles']

test('the default export has the members of node:fs/promises of the running Node, and readFiles', () => {
  const expected = [...Object.keys(nodeFs), ...EXTRAS].sort()
  assert.equal(Object.keys(promises).sort(), expected)
})

test('every member is a named export too, as is the FileHandle class', () => {
  for (const name of Object.keys(promises)) {
    assert.is((named as Record<string, unknown>)[name], (promises as Record<string, unknown>)[name], name)
  }
  const own = Object.keys(named).filter((name) => !(name in promises))
  // Those of newer Nodes are exported everywhere, undefined where the running Node lacks them.
  assert.equal(own.filter((name) => (named as Record<string, unknown>)[name] !== undefined).sort(), [
    'FileHandle',
    'default',
  ])
})

test('the members are of the same type as Node’s', () => {
  for (const [name, member] of Object.entries(nodeFs)) {
    assert.is(typeof (promises as Record<string, unknown>)[name], typeof member, name)
  }
  assert.is(promises.constants, nodeFs.constants)
})

test('a FileHandle has every public member that Node’s has', async () => {
  const theirs = await nodeFs.open('/dev/null')
  const ours = await open('/dev/null')
  try {
    // Messaging symbols are how Node moves its own handles between threads; see docs/guides/files.md.
    const isPublic = (key: string | symbol): boolean => typeof key === 'string' || key === Symbol.asyncDispose
    for (let at: object = theirs; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
      for (const key of Reflect.ownKeys(at).filter(isPublic))
        assert.ok(key in ours, `FileHandle.${String(key)}`)
    }
    assert.instance(ours, named.FileHandle)
  } finally {
    await theirs.close()
    await ours.close()
  }
})

test.run()
