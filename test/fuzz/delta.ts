// One batch of cases against the delta parser: deltas of the corpus, cut, spliced and overwritten, and commands at
// random. patchFile must come to what a second, simple applier comes to, or reject with a code and leave the old output.

import { readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { patchFile } from '../../src/transfer/index.js'

// The bundled program lies elsewhere, and is told.
declare const CORPUS_URL: string | undefined
const CORPUS = new URL(typeof CORPUS_URL === 'string' ? CORPUS_URL : './corpus/', import.meta.url)
const OLD = 'what was there before'

/** The basis of every delta here. */
export function makeBasis(): Buffer {
  const basis = Buffer.alloc(5000)
  for (let at = 0; at < basis.length; at++) basis[at] = (Math.imul(at, 0x9e3779b1) >>> 13) & 0xff
  return basis
}

/** Applies a delta as librsync's format has it; null when it is none, or asks for what the basis does not have. */
export function applySimply(basis: Buffer, delta: Buffer): Buffer | null {
  let at = 4
  if (delta.length < 4 || delta.readUInt32BE(0) !== 0x72730236) return null
  const parts: Buffer[] = []
  const number = (bytes: number): bigint | null => {
    if (at + bytes > delta.length) return null
    let value = 0n
    for (let index = 0; index < bytes; index++) value = (value << 8n) | BigInt(delta[at + index]!)
    at += bytes
    return value
  }
  for (;;) {
    const command = delta[at++]
    if (command === undefined) return null
    if (command === 0) return at === delta.length ? Buffer.concat(parts) : null
    if (command <= 68) {
      const length = command <= 64 ? BigInt(command) : number(2 ** (command - 65))
      // rdiff writes no empty ones, and reads none.
      if (length === null || length === 0n || BigInt(at) + length > BigInt(delta.length)) return null
      parts.push(delta.subarray(at, at + Number(length)))
      at += Number(length)
    } else if (command <= 84) {
      const start = number(2 ** ((command - 69) >> 2))
      const length = number(2 ** ((command - 69) & 3))
      if (start === null || length === null || length === 0n) return null
      if (start + length > BigInt(basis.length)) return null
      parts.push(basis.subarray(Number(start), Number(start + length)))
    } else return null
  }
}

function numberBytes(value: bigint, bytes: number): Buffer {
  const all = Buffer.alloc(8)
  all.writeBigUInt64BE(BigInt.asUintN(64, value))
  return all.subarray(8 - bytes)
}

const value = fc.oneof(
  fc.bigInt({ min: 0n, max: 5100n }),
  fc.constantFrom(0n, 1n, 4999n, 5000n, 5001n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
)
const size = fc.constantFrom(1, 2, 4, 8)
const literal = fc
  .tuple(fc.uint8Array({ maxLength: 300 }), size, fc.boolean())
  .map(([data, bytes, isShort]) =>
    isShort && data.length > 0 && data.length <= 64
      ? Buffer.concat([Buffer.from([data.length]), data])
      : Buffer.concat([Buffer.from([65 + Math.log2(bytes)]), numberBytes(BigInt(data.length), bytes), data]),
  )
const copy = fc
  .tuple(value, value, size, size)
  .map(([start, length, a, b]) =>
    Buffer.concat([
      Buffer.from([69 + 4 * Math.log2(a) + Math.log2(b)]),
      numberBytes(start, a),
      numberBytes(length, b),
    ]),
  )
const noise = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes))
const commands = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: copy },
      { weight: 4, arbitrary: literal },
      { weight: 1, arbitrary: noise },
    ),
    {
      maxLength: 20,
    },
  )
  .map((parts) => Buffer.concat([Buffer.from([0x72, 0x73, 0x02, 0x36]), ...parts, Buffer.from([0])]))

type Mutation = readonly [kind: 'set' | 'cut' | 'insert' | 'remove', where: number, bytes: Uint8Array]
const mutation: fc.Arbitrary<Mutation> = fc.tuple(
  fc.constantFrom('set', 'cut', 'insert', 'remove'),
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.uint8Array({ minLength: 1, maxLength: 9 }),
)

function mutate(delta: Buffer, mutations: readonly Mutation[]): Buffer {
  let result = delta
  for (const [kind, where, bytes] of mutations) {
    const at = Math.floor(where * result.length)
    const before = result.subarray(0, at)
    if (kind === 'cut') result = before
    else if (kind === 'insert') result = Buffer.concat([before, bytes, result.subarray(at)])
    else if (kind === 'remove') result = Buffer.concat([before, result.subarray(at + bytes.length)])
    else result = Buffer.concat([before, bytes, result.subarray(at + bytes.length)])
  }
  return result
}

/** Deltas of the repository, each of which has been of interest. */
export function corpus(): Map<string, Buffer> {
  const names = readdirSync(CORPUS).filter((name) => name.endsWith('.hex'))
  return new Map(
    names.map((name) => {
      const text = readFileSync(new URL(name, CORPUS), 'utf8').replace(/#.*$/gm, '').replace(/\s/g, '')
      return [name, Buffer.from(text, 'hex')]
    }),
  )
}

/** @throws Error that says what is wrong with what came of `delta`. */
export async function checkDelta(delta: Buffer, basis: Buffer, folder: string): Promise<void> {
  const output = join(folder, 'output')
  writeFileSync(join(folder, 'delta'), delta)
  writeFileSync(output, OLD)
  const expected = applySimply(basis, delta)
  let error: (Error & { code?: string }) | null = null
  try {
    await patchFile(join(folder, 'basis'), join(folder, 'delta'), output)
  } catch (thrown) {
    error = thrown as Error
  }
  const found = readFileSync(output)
  if (error !== null) {
    if (!['ERR_DELTA_FORMAT', 'ERR_BASIS_RANGE'].includes(error.code ?? '')) throw error
    if (found.toString('latin1') !== OLD) throw new Error('rejected, and the old output has changed')
    if (expected !== null) throw new Error(`rejected (${error.message}), and it is a delta`)
  } else if (expected === null) throw new Error('accepted, and it is no delta')
  else if (!found.equals(expected))
    throw new Error(`other bytes: ${found.length} instead of ${expected.length}`)
  const left = readdirSync(folder).filter((name) => !['basis', 'delta', 'output', 'file'].includes(name))
  if (left.length > 0) throw new Error(`left beside the output: ${left.join(', ')}`)
}

/** Runs `runs` cases that follow from `seed`. */
export async function fuzzDelta(
  seed: number,
  runs: number,
  folder: string,
  traceFd: number,
): Promise<number> {
  const basis = makeBasis()
  writeFileSync(join(folder, 'basis'), basis)
  const known = [...corpus().values()]
  const mutated = fc
    .tuple(fc.constantFrom(...known), fc.array(mutation, { minLength: 1, maxLength: 4 }))
    .map(([delta, mutations]) => mutate(delta, mutations))
  const mutatedCommands = fc
    .tuple(commands, fc.array(mutation, { maxLength: 2 }))
    .map(([delta, mutations]) => mutate(delta, mutations))
  let inputs = 0
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, mutatedCommands, commands), async (delta) => {
      inputs++
      writeSync(traceFd, `# case ${delta.toString('hex')}\n`)
      await checkDelta(delta, basis, folder)
    }),
    {
      seed,
      numRuns: runs,
      reporter: (details) => {
        if (!details.failed) return
        const hex = details.counterexample?.[0].toString('hex')
        throw new Error(
          `seed ${details.seed}: delta ${hex}\n${(details.errorInstance as Error | null)?.message}`,
        )
      },
    },
  )
  return inputs
}
