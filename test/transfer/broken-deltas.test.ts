// Deltas that are not what they should be: each ends with one clear error or, where the damage cannot be seen because the
// format has no checksum, with what rdiff makes of it. The target is never touched otherwise.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { deltaFile, patchFile, signatureFile } from '../../src/transfer/index.js'
import { assert, needs, test } from '../harness.js'
import { leftovers, Random, scratch } from './scratch.js'

const CODES = ['ERR_DELTA_FORMAT', 'ERR_BASIS_RANGE', 'ERR_OUTPUT_TOO_LARGE']
/** No mutation here may make more than that. */
const MOST_BYTES = 2 ** 24

const OLD = new Random(5).bytes(60_000)
const NEW = Buffer.concat([
  OLD.subarray(0, 20_000),
  new Random(6).bytes(300),
  OLD.subarray(25_000, 50_000),
  Buffer.from('a short literal'),
  OLD.subarray(1000, 9000),
  new Random(8).bytes(70_000),
])
const [old, fresh, signature] = [scratch('old'), scratch('new'), scratch('signature')]
const [sound, broken, target] = [scratch('sound'), scratch('broken'), scratch('target')]

interface Outcome {
  readonly error: (Error & { code?: string }) | null
}

/** Patches with `delta` and checks what must hold whatever it is. */
async function outcomeOf(delta: Buffer, what: string): Promise<Outcome> {
  writeFileSync(broken, delta)
  writeFileSync(target, 'the old target')
  try {
    const result = await patchFile(old, broken, target, { maxOutputBytes: MOST_BYTES })
    assert.is(readFileSync(target).length, result.bytesWritten, what)
    return { error: null }
  } catch (error) {
    assert.ok(CODES.includes((error as { code: string }).code), `${what}: ${error}`)
    assert.not.match((error as Error).message, /\n/)
    assert.is(readFileSync(target, 'utf8'), 'the old target', what)
    assert.equal(leftovers(), [], what)
    return { error: error as Error }
  }
}

/** What rdiff makes of it; null when it refuses. */
function byRdiff(): Buffer | null {
  const path = scratch('theirs')
  rmSync(path, { force: true })
  const { status } = spawnSync('rdiff', ['-f', 'patch', old, broken, path])
  return status === 0 ? readFileSync(path) : null
}

async function makeDelta(): Promise<Buffer> {
  if (!existsSync(sound)) {
    writeFileSync(old, OLD)
    writeFileSync(fresh, NEW)
    await signatureFile(old, signature, { blockBytes: 512 })
    await deltaFile(signature, fresh, sound)
  }
  return readFileSync(sound)
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const MAGIC = '72730236'

test('each kind of damage is named', async () => {
  const delta = await makeDelta()
  for (const [bytes, code, message] of [
    [Buffer.alloc(0), 'ERR_DELTA_FORMAT', /^Not a sound delta: it is too short, '/],
    [hex('7273'), 'ERR_DELTA_FORMAT', /it is too short/],
    [hex('72730147'), 'ERR_DELTA_FORMAT', /it begins with 0x72730147, not 0x72730236/],
    [Buffer.from('diff --git a/x b/x\n'), 'ERR_DELTA_FORMAT', /it begins with 0x64696666/],
    [hex(MAGIC), 'ERR_DELTA_FORMAT', /it ends without an end command/],
    [delta.subarray(0, -1), 'ERR_DELTA_FORMAT', /it ends without an end command/],
    [
      delta.subarray(0, -2),
      'ERR_DELTA_FORMAT',
      /the literal at byte \d+ is to have (\d+) bytes, and \d+ are left/,
    ],
    [
      Buffer.concat([delta, hex('00')]),
      'ERR_DELTA_FORMAT',
      /there is more behind its end command at byte \d+/,
    ],
    [hex(`${MAGIC} 85`), 'ERR_DELTA_FORMAT', /command 1 at byte 4 is 0x85, which does not exist/],
    [hex(`${MAGIC} 01 61 ff`), 'ERR_DELTA_FORMAT', /command 2 at byte 6 is 0xff/],
    [hex(`${MAGIC} 41 00`), 'ERR_DELTA_FORMAT', /command 1 at byte 4 is a literal of no bytes/],
    [hex(`${MAGIC} 45 00 00`), 'ERR_DELTA_FORMAT', /command 1 at byte 4 copies no bytes/],
    [hex(`${MAGIC} 54 00`), 'ERR_DELTA_FORMAT', /it ends within the command at byte 4/],
    [
      hex(`${MAGIC} 44 ffffffffffffffff 00`),
      'ERR_DELTA_FORMAT',
      /is to have 18446744073709552000 bytes, and 1 are left/,
    ],
    [hex(`${MAGIC} 43 00ffffff 61`), 'ERR_DELTA_FORMAT', /is to have 16777215 bytes, and 1 are left/],
    [
      hex(`${MAGIC} 4a ea60 0001 00`),
      'ERR_BASIS_RANGE',
      /^Command 1 of the delta copies 1 bytes at 60000 from a basis of 60000: requested range extends past end/,
    ],
    [hex(`${MAGIC} 54 ffffffffffffffff ffffffffffffffff 00`), 'ERR_BASIS_RANGE', /extends past end of file/],
    [hex(`${MAGIC} 54 0000000000000001 7fffffffffffffff 00`), 'ERR_BASIS_RANGE', /extends past end of file/],
  ] as const) {
    const { error } = await outcomeOf(bytes, String(message))
    assert.is(error?.code, code, String(error))
    assert.match(error!.message, message)
  }
})

test('a literal that claims 2^64 bytes ends where the delta does, also without a bound', async () => {
  writeFileSync(target, 'the old target')
  writeFileSync(broken, hex(`${MAGIC} 44 ffffffffffffffff 00`))
  await makeDelta()
  await assert.rejects(patchFile(old, broken, target), { code: 'ERR_DELTA_FORMAT' })
  assert.is(readFileSync(target, 'utf8'), 'the old target')
})

test('copies that repeat are bounded by maxOutputBytes', async () => {
  await makeDelta()
  const repeated = Buffer.concat([
    hex(MAGIC),
    ...Array.from({ length: 400 }, () => hex('4a 0000 ea60')),
    hex('00'),
  ])
  const { error } = await outcomeOf(repeated, 'repeated')
  assert.is(error?.code, 'ERR_OUTPUT_TOO_LARGE')
})

test(
  '600 mutations: an error, or what rdiff makes of it',
  needs({ swift: true, command: 'rdiff' }, async () => {
    const delta = await makeDelta()
    const random = new Random(123)
    let errors = 0
    for (let round = 0; round < 600; round++) {
      let mutated = Buffer.from(delta)
      const kind = round % 6
      // Most of the delta is the last literal: damage goes to the front as well.
      const at = random.below(round % 2 === 0 ? 420 : delta.length)
      if (kind === 0) mutated = mutated.subarray(0, at)
      else if (kind === 1) mutated[at]! ^= 1 << random.below(8)
      else if (kind === 2) mutated[at] = random.below(256)
      else if (kind === 3)
        mutated = Buffer.concat([
          mutated.subarray(0, at),
          random.bytes(1 + random.below(9)),
          mutated.subarray(at),
        ])
      else if (kind === 4)
        mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + 1 + random.below(9))])
      else random.bytes(1 + random.below(12)).copy(mutated, at)
      const what = `mutation ${round} at ${at}`
      const { error } = await outcomeOf(mutated, what)
      if (error !== null) {
        errors++
        // Stricter than rdiff in these, and in nothing else.
        if (/there is more behind|larger than/.test(error.message)) continue
        assert.is(byRdiff(), null, `${what}: rdiff takes it, but here: ${error.message}`)
        continue
      }
      const output = readFileSync(target)
      const theirs = byRdiff()
      assert.ok(theirs?.equals(output), `${what}: rdiff makes something else of it`)
    }
    assert.ok(errors > 200, `only ${errors} errors`)
  }),
)

test(
  '300 random files and signatures in the place of a delta',
  needs({ swift: true }, async () => {
    await makeDelta()
    const random = new Random(321)
    for (let round = 0; round < 300; round++) {
      const noise = random.bytes(random.below(2000))
      const bytes = round % 3 === 0 ? noise : Buffer.concat([hex(MAGIC), noise])
      await outcomeOf(bytes, `noise ${round}`)
    }
    const { error } = await outcomeOf(readFileSync(signature), 'a signature')
    assert.is(error?.code, 'ERR_DELTA_FORMAT')
  }),
)

test(
  '300 mutations of a signature: an error, or a delta that rdiff and patchFile agree on',
  needs({ swift: true }, async () => {
    await makeDelta()
    const whole = readFileSync(signature)
    const random = new Random(77)
    const mutatedPath = scratch('mutated signature')
    const delta = scratch('delta of it')
    let errors = 0
    for (let round = 0; round < 300; round++) {
      let mutated = Buffer.from(whole)
      const at = random.below(round % 2 === 0 ? 12 : whole.length)
      if (round % 3 === 0) mutated = mutated.subarray(0, at)
      else if (round % 3 === 1) mutated[at]! ^= 1 << random.below(8)
      else mutated[at] = random.below(256)
      writeFileSync(mutatedPath, mutated)
      try {
        const made = await deltaFile(mutatedPath, fresh, delta)
        assert.is(made.literalBytes + made.matchedBytes, NEW.length)
      } catch (error) {
        errors++
        assert.is((error as { code: string }).code, 'ERR_DELTA_FORMAT', String(error))
        assert.match((error as Error).message, /^Not a sound signature: /)
      }
    }
    assert.ok(errors > 50, `only ${errors} errors`)
    assert.equal(leftovers(), [])
  }),
)

test.run()
