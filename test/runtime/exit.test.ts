// How a process ends that has a ring: each case in a process of its own.

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, needs, test } from '../harness.js'
import { PATIENCE } from '../patience.js'
import { temporaryFolder } from './fixture.js'

const here = needs.bind(null, { ring: true } as const)
const folder = temporaryFolder()
const data = join(folder, 'data')
writeFileSync(data, Buffer.alloc(1 << 20, 1))
mkdirSync(join(folder, 'programs'))
let programs = 0

interface Ending {
  readonly code: number | null
  readonly signal: string | null
  readonly out: string
  readonly err: string
}

/** Runs a program that has `Uring`, an open `uring`, a `file`, and a descriptor `never` whose reads wait. */
function run(body: string, env: Record<string, string> = {}): Ending {
  const source = new URL('../../src/', import.meta.url).href
  const program = join(folder, 'programs', `${programs++}.mjs`)
  writeFileSync(
    program,
    `import { openSync, writeSync } from 'node:fs'
    import { Uring } from '${source}index.ts'
    import { eventfd } from '${source}syscalls/libc.ts'
    const uring = globalThis.kept = Uring.open()
    const file = openSync(${JSON.stringify(data)}, 'r')
    const never = eventfd(0, 0)
    const eight = () => new Uint8Array(new ArrayBuffer(8))
    const say = (text) => writeSync(1, text + ' ')
    ${body}`,
  )
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, program], {
    timeout: 15_000 * PATIENCE,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { code: status, signal, out: stdout.trim(), err: stderr.trim() }
}

function ends(body: string, expected: Partial<Ending>): void {
  const ending = run(body)
  for (const [key, value] of Object.entries(expected)) {
    assert.equal(ending[key as keyof Ending], value, `${key} of ${JSON.stringify(ending)}\n${body}`)
  }
  assert.is(ending.signal, null, JSON.stringify(ending))
}

test(
  'a process with a ring and nothing to do ends',
  here(() => {
    ends(`say('idle')`, { code: 0, out: 'idle', err: '' })
    ends(`await uring.read(file, eight()); say('read')`, { code: 0, out: 'read', err: '' })
  }),
)

test(
  'a process waits for its operations, also for those in line and those that were just issued',
  here(() => {
    ends(`uring.timeout(50).then(() => say('timeout'))`, { code: 0, out: 'timeout' })
    ends(`uring.nop().then(() => uring.fsync(file)).then(() => uring.timeout(5)).then(() => say('end'))`, {
      code: 0,
      out: 'end',
    })
    const many = `const small = Uring.open({ sqEntries: 4, cqEntries: 4 })
      let left = 100
      for (let index = 0; index < 100; index++) small.timeout(1).then(() => --left || say('all'))`
    ends(many, { code: 0, out: 'all' })
  }),
)

test(
  'a process does not wait for operations that do not hold it',
  here(() => {
    ends(`uring.unref(); uring.timeout(60_000); uring.read(never, eight()); say('left')`, {
      code: 0,
      out: 'left',
      err: '',
    })
    ends(`uring.timeout(60_000); setTimeout(() => { uring.unref(); say('let go') }, 20)`, {
      code: 0,
      out: 'let go',
    })
    ends(`uring.unref(); uring.timeout(30).then(() => say('done')); uring.ref()`, { code: 0, out: 'done' })
  }),
)

const PENDING = `
  const first = uring.nop()
  const buffers = Array.from({ length: 64 }, () => Buffer.alloc(1 << 20))
  for (const buffer of buffers) {
    uring.read(file, buffer, { offset: 0, async: true }).catch(() => {})
    uring.read(never, eight(), { timeoutMs: 100_000 }).catch(() => {})
  }
  for (let index = 0; index < 6000; index++) uring.poll(never, 1).catch(() => {})
  process.on('exit', (code) => say('exit ' + code + (uring.closed ? ' closed' : ' open')))
`

test(
  'process.exit() with operations in flight, in line and not yet submitted ends at once and cleanly',
  here(() => {
    ends(`${PENDING} process.exit(3)`, { code: 3, out: 'exit 3 closed', err: '' })
    ends(`${PENDING} setImmediate(() => process.exit(4))`, { code: 4, out: 'exit 4 closed', err: '' })
    ends(`${PENDING} first.then(() => process.exit(5))`, { code: 5, out: 'exit 5 closed', err: '' })
    ends(`${PENDING} process.on('exit', () => process.exit(6)); process.exit(0)`, { code: 6 })
  }),
)

test(
  'an uncaught exception and an unhandled rejection end the process as ever',
  here(() => {
    const thrown = run(`${PENDING} setImmediate(() => { throw new Error('thrown on purpose') })`)
    assert.is(thrown.code, 1)
    assert.is(thrown.signal, null)
    assert.is(thrown.out, 'exit 1 closed')
    assert.match(thrown.err, 'thrown on purpose')
    const rejected = run(`uring.open('/does/not/exist'); ${PENDING}`)
    assert.is(rejected.code, 1)
    assert.match(rejected.err, "ENOENT: no such file or directory, open '/does/not/exist'")
    const inThen = run(`uring.nop().then(() => { throw new Error('in a continuation') })`)
    assert.is(inThen.code, 1)
    assert.match(inThen.err, 'in a continuation')
  }),
)

test(
  'a signal that kills ends the process, whatever is in flight',
  here(() => {
    const killed = run(`${PENDING} setImmediate(() => process.kill(process.pid, 'SIGTERM'))`)
    assert.is(killed.signal, 'SIGTERM')
  }),
)

test(
  'the ring is closed when listeners of "exit" that were added before it run, and takes no operations',
  here(() => {
    const body = `
      process.on('exit', () => {
        say(String(uring.closed))
        uring.open('/').catch((error) => say(error.code))
        uring.flush()
        uring.close()
      })`
    ends(body, { code: 0, out: 'true EBADF', err: '' })
  }),
)

test(
  'a top-level await on a ring that was closed ends',
  here(() => {
    const body = `
      const pending = uring.read(never, eight()).catch((error) => error.name)
      await uring.close()
      say(await pending)
      const reopened = Uring.open()
      say(String(await reopened.nop()))
      await reopened.close()`
    ends(body, { code: 0, out: 'AbortError 0', err: '' })
  }),
)

test(
  'decisions are told with NODE_DEBUG=uring',
  here(() => {
    const { out, err } = run(
      `const { defaultUring } = await import('${new URL('../../src/', import.meta.url).href}runtime/index.ts')
      process.env.URING_DISABLE = '1'
      say(String(defaultUring()))
      say(String(defaultUring()))`,
      { NODE_DEBUG: 'uring' },
    )
    assert.is(out, 'null null')
    const lines = err.split('\n').filter((line) => line.includes('without io_uring'))
    assert.is(lines.length, 1)
    assert.match(lines[0]!, 'URING_DISABLE=1')
  }),
)

test.run()
