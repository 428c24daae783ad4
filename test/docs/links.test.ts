// Links between documents lead somewhere: the file is there, and has the heading.

import { existsSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { assert, test } from '../harness.js'
import { anchors, documents, links, read, root } from './markdown.js'

const isElsewhere = (link: string): boolean => /^[a-z]+:/.test(link)

for (const document of documents()) {
  test(`the links of ${document} resolve`, () => {
    const broken: string[] = []
    for (const link of links(read(document)).filter((one) => !isElsewhere(one))) {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? document : normalize(join(dirname(document), decodeURI(path)))
      const isThere = existsSync(join(root, target)) && !target.startsWith('..')
      const isFile = isThere && statSync(join(root, target)).isFile()
      if (!isThere || (anchor !== undefined && !(isFile && anchors(read(target)).has(anchor))))
        broken.push(link)
    }
    assert.equal(broken, [])
  })
}

test('a link that leads nowhere would be found', () => {
  const text = '# A b\n[one](x.md#a) `[two](y)` [three](#a-b)\n```js\n[four](z)\n```\n# A b'
  assert.equal(links(text), ['x.md#a', '#a-b'])
  assert.equal([...anchors(text)], ['a-b', 'a-b-1'])
})

test.run()
