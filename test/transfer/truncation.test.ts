// A basis that is cut short at random moments, a thousand times, by another thread: the right bytes or an error, never a
// signal or a wrong file. Each way of reading has a process of its own, which a SIGBUS would end.

import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { deltaFile, type PatchOptions, signatureFile } from '../../src/transfer/index.js'
import { assert, test } from '../harness.js'
import { IS_EMULATED, scaled } from '../patience.js'
import { leftovers, Random, scratch } from './scratch.js'

const CHILD = new URL('./children/truncating.ts', import.meta.url).pathname
const ROUNDS = Math.max(40, scaled(170))
const WAYS: readonly { name: string; options: PatchOptions; env?: NodeJS.ProcessEnv }[] = [
  { name: 'buffered, large matches copied by the kernel', options: {} },
  { name: 'buffered, through the ring', options: { share: false } },
  { name: 'mapped', options: { basis: 'mmap' } },
  { name: 'mapped, every byte copied by the kernel', options: { basis: 'mmap', hash: 'sha256' } },
  {
    name: 'mapped, pinned, through a ring with SQPOLL',
    options: { basis: 'mmap', config: { sqpoll: true, sqpollIdleMs: 10, pinMmapBasis: true } },
  },
  { name: 'mapped, without io_uring', options: { basis: 'mmap' }, env: { URING_DISABLE: '1' } },
]

const [basis, fresh, delta] = [scratch('basis'), scratch('new'), scratch('delta')]

async function makeDelta(): Promise<void> {
  const random = new Random(41)
  const old = random.bytes(3_000_000)
  // Large matches, and small ones between literals.
  const parts: Buffer[] = [old.subarray(0, 1_500_000)]
  for (let at = 1_500_000; at + 20_000 < old.length; at += 17_000) {
    parts.push(old.subarray(at, at + 9000), random.bytes(100))
  }
  writeFileSync(basis, old)
  writeFileSync(fresh, Buffer.concat(parts))
  await signatureFile(basis, scratch('signature'), { blockBytes: 1024 })
  await deltaFile(scratch('signature'), fresh, delta)
}

function patchRepeatedly(
  index: number,
): Promise<{ code: number | null; signal: string | null; stdout: string }> {
  const { options, env } = WAYS[index]!
  const target = scratch(`target-${index}`)
  const args = [
    '--import',
    'tsx',
    CHILD,
    basis,
    delta,
    target,
    fresh,
    String(ROUNDS),
    JSON.stringify(options),
  ]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout }))
  })
}

for (const [index, { name }] of WAYS.entries()) {
  test(`${ROUNDS} truncations, ${name}`, async () => {
    if (index === 0) await makeDelta()
    const { code, signal, stdout } = await patchRepeatedly(index)
    assert.is(signal, null)
    assert.is(code, 0)
    const outcomes = JSON.parse(stdout) as Record<string, number>
    // Cut before it was opened, the basis is merely too short for the delta.
    const { right = 0, ERR_BASIS_CHANGED: changed = 0, ERR_BASIS_RANGE: short = 0 } = outcomes
    assert.is(right + changed + short, ROUNDS, stdout)
    // It happened often, or the moments were no random ones. (An emulated processor takes long to open the basis.)
    assert.ok(changed > (IS_EMULATED ? 0 : ROUNDS / 10), stdout)
    assert.equal(leftovers(), [])
  })
}

test('the basis of these tests is as it was', () => {
  assert.is(readFileSync(basis).length, 3_000_000)
  assert.ok(IS_EMULATED || WAYS.length * ROUNDS >= 1000)
})

test.run()
