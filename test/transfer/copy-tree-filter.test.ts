// Globs, and what they pick.

import { entryChoice } from '../../src/transfer/copy/tree-filter.js'
import { assert, test } from '../harness.js'

function picks(glob: string, path: string): boolean {
  return !entryChoice(undefined, glob).admits(path, path.endsWith('/') ? 'directory' : 'file')
}

test('a glob without a slash is matched with the name, one with a slash with the path', () => {
  const cases: [glob: string, picked: string[], left: string[]][] = [
    ['*.js', ['a.js', 'x/y/a.js', '.js'], ['a.jsx', 'a.js/b']],
    ['a?c', ['abc', 'x/a☃c'], ['ac', 'abbc']],
    ['src/*.ts', ['src/a.ts'], ['a.ts', 'src/x/a.ts', 'y/src/a.ts']],
    ['src/**/*.ts', ['src/a.ts', 'src/x/y/a.ts'], ['srcs/a.ts']],
    ['**/b', ['b', 'a/b', 'a/a/b'], ['ab', 'b/c']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a']],
    ['/a', ['a'], ['b/a']],
    ['[a-c]x', ['ax', 'cx'], ['dx', '-x']],
    ['[!a-c]x', ['dx', '-x'], ['ax', '/x']],
    ['[]x]', [']', 'x'], ['[']],
    ['{a,b*}.txt', ['a.txt', 'bcd.txt'], ['c.txt', 'a']],
    ['a{/x,}', ['a/x', 'a'], ['x']],
    ['\\*', ['*'], ['a']],
    ['a.b+(c)|$^', ['a.b+(c)|$^'], ['aXb+(c)|$^']],
    ['☃*', ['☃1'], ['1']],
  ]
  for (const [glob, picked, left] of cases) {
    for (const path of picked) assert.ok(picks(glob, path), `${glob} picks ${path}`)
    for (const path of left) assert.not.ok(picks(glob, path), `${glob} leaves ${path}`)
  }
})

test('a slash at the end picks directories only', () => {
  const { admits } = entryChoice(undefined, 'build/')
  assert.is(admits('build', 'directory'), false)
  assert.is(admits('x/build', 'directory'), false)
  assert.is(admits('build', 'file'), true)
})

test('include is for what is no directory, exclude is for everything and wins', () => {
  const choice = entryChoice(
    ['*.txt', /^keep/g],
    (path, kind) => kind === 'symlink' || path.includes('secret'),
  )
  assert.is(choice.picksFiles, true)
  assert.is(choice.admits('folder', 'directory'), true)
  assert.is(choice.admits('a.txt', 'file'), true)
  // A global RegExp remembers nothing from one path to the next.
  for (let time = 0; time < 3; time++) assert.is(choice.admits('keep/this', 'file'), true)
  assert.is(choice.admits('other', 'file'), false)
  assert.is(choice.admits('a.txt', 'symlink'), false)
  assert.is(choice.admits('secret.txt', 'file'), false)
  assert.is(choice.admits('secret', 'directory'), false)
})

test('a pattern that makes no sense is refused', () => {
  for (const bad of ['', '/', '[a', '{a', 7, null, [[]]]) {
    assert.throws(
      () => entryChoice(bad as string, undefined),
      (error) => /^ERR_INVALID_ARG/.test(error.code),
      String(bad),
    )
  }
})

test.run()
