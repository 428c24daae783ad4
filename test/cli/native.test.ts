// What the demonstration does natively: the three raw calls, the ring mappings, and no library but koffi's.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert, needs, test } from '../harness.js'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const RING = new URL('../../src/ring/index.ts', import.meta.url).href

function tracedDemo(): string {
  const folder = mkdtempSync(join(tmpdir(), 'uring-strace-'))
  try {
    const source = join(folder, 'source')
    const trace = join(folder, 'trace')
    writeFileSync(source, Buffer.alloc(3_000_000, 7))
    const calls = 'trace=io_uring_setup,io_uring_enter,io_uring_register,mmap'
    const demo = [process.execPath, '--import', 'tsx', MAIN, 'demo', source]
    const run = spawnSync('strace', ['-f', '-e', calls, '-o', trace, ...demo], { encoding: 'utf8' })
    assert.is(run.status, 0, run.stderr)
    return readFileSync(trace, 'utf8')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Whether a process here may be traced at all. */
function canTrace(): true | string {
  const run = spawnSync('strace', ['-o', '/dev/null', 'true'], { encoding: 'utf8' })
  return run.status === 0 || `strace cannot trace here: ${run.stderr.trim().split('\n')[0]}`
}

test(
  'the demo makes the three raw calls and maps the ring',
  needs({ linux: '5.19', command: 'strace', when: canTrace }, () => {
    const trace = tracedDemo()
    assert.match(trace, /io_uring_setup\(256, .*\) = \d+/)
    assert.match(trace, /io_uring_register\(\d+, IORING_REGISTER_BUFFERS/)
    assert.match(trace, /io_uring_enter\(\d+, \d+, 1, IORING_ENTER_GETEVENTS/)
    assert.match(trace, /mmap\(NULL, \d+, PROT_READ\|PROT_WRITE, MAP_SHARED\|MAP_POPULATE, \d+, 0\) = 0x/)
    assert.match(
      trace,
      /mmap\(NULL, 16384, PROT_READ\|PROT_WRITE, MAP_SHARED\|MAP_POPULATE, \d+, 0x10000000\) = 0x/,
    )
  }),
)

test(
  'nothing is loaded as native code but koffi',
  needs({ linux: '5.6' }, () => {
    const code = `
      const before = new Set(process.report.getReport().sharedObjects)
      const { Ring } = await import(${JSON.stringify(RING)})
      Ring.open({ entries: 8 }).close()
      console.log(process.report.getReport().sharedObjects.filter((name) => !before.has(name)).join('\\n'))`
    const args = ['--import', 'tsx', '--input-type=module', '-e', code]
    const run = spawnSync(process.execPath, args, { encoding: 'utf8' })
    assert.is(run.status, 0, run.stderr)
    const loaded = run.stdout.trim().split('\n')
    assert.is(loaded.length, 1, run.stdout)
    assert.match(loaded[0]!, /koffi\.node$/)
  }),
)

test.run()
