// A runtime that is not Node: the driver says what it cannot do there, and files work without it. `npm run test:runtimes`
// tries the real ones.

import { spawnSync } from 'node:child_process'
import { assert, needs, test } from '../harness.js'

const source = new URL('../../src/', import.meta.url).href

function run(name: string, body: string): string {
  const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, ${name}: '9.8.7' } })`
  const args = [
    ...['--import', import.meta.resolve('tsx')],
    ...['--import', `data:text/javascript,${encodeURIComponent(pretend)}`],
    ...['--input-type=module', '-e', body.replaceAll('SRC', source)],
  ]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.is(status, 0, stderr)
  return stdout
}

for (const [name, title] of [
  ['bun', 'Bun'],
  ['deno', 'Deno'],
] as const) {
  test(
    `in ${title} the driver is refused by name, the raw ring and files work`,
    needs({ ring: true }, () => {
      const output = run(
        name,
        `import { Uring, defaultUring } from 'SRCindex.ts'
        import { availability } from 'SRCconfig/index.ts'
        import { Ring } from 'SRCring/index.ts'
        import { readFile } from 'SRCfs/index.ts'
        console.log(Uring.availability().cause, Uring.availability().reason)
        console.log(availability().available, defaultUring())
        try { Uring.open() } catch (error) { console.log(error.code, error.message === Uring.availability().reason) }
        const ring = Ring.open({ entries: 4 })
        console.log(ring.sqEntries)
        ring.close()
        console.log((await readFile('/proc/self/comm')).length > 0)`,
      )
      assert.equal(output.trim().split('\n'), [
        `foreign-event-loop io_uring: disabled because a ring cannot wake the event loop of ${title} 9.8.7; uring/ring works`,
        'true null',
        'ERR_URING_UNAVAILABLE true',
        '4',
        'true',
      ])
    }),
  )
}

test.run()
