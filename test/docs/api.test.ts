// docs/api.md has every export: a heading each, a line of a table for constants of the kernel.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { exportedNames } from '../../scripts/api-document.js'
import { entryPoints } from '../../scripts/api-sections.js'
import { assert, test } from '../harness.js'

const root = new URL('../../', import.meta.url)
const text = readFileSync(new URL('docs/api.md', root), 'utf8')
const described = new Set([...text.matchAll(/^(?:#### |\| `)(\w+)`?/gm)].map((match) => match[1]!))

test('every entry point of package.json is in docs/api.md', () => {
  const { exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    exports: Record<string, { readonly types?: string }>
  }
  const published = Object.values(exports).flatMap(({ types }) => types ?? [])
  assert.equal(
    published.map((types) => types.replace('./dist/', 'src/').replace('.d.ts', '.ts')).sort(),
    entryPoints.map(({ source }) => source).sort(),
  )
  for (const { name } of entryPoints) assert.match(text, new RegExp(`^## ${name}$`, 'm'))
})

for (const { name, source } of entryPoints) {
  test(`every runtime export of ${name} is in docs/api.md`, async () => {
    const module: object = await import(fileURLToPath(new URL(source, root)))
    const missing = Object.keys(module).filter((key) => key !== 'default' && !described.has(key))
    assert.equal(missing, [], 'run tsx scripts/api.ts')
  })
}

test('every exported type is in docs/api.md', () => {
  for (const [{ name }, names] of exportedNames()) {
    const missing = names.filter((one) => one !== 'default' && !described.has(one))
    assert.equal(missing, [], `${name}: run tsx scripts/api.ts`)
  }
})

test('no symbol of docs/api.md has left the package', () => {
  const current = new Set([...exportedNames().values()].flat())
  assert.equal(
    [...described].filter((name) => !current.has(name)),
    [],
    'run tsx scripts/api.ts',
  )
})

test.run()
