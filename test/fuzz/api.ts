// One batch of cases against the public functions: sequences of calls with any arguments, in any order, on objects that
// are open or closed. Each call must come to a result or to an error with a code, within a bound, and the process must
// live.

import { writeSync } from 'node:fs'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { open } from '../../src/fs/index.js'
import { Uring } from '../../src/index.js'
import { Ring } from '../../src/ring/index.js'
import { Sqe } from '../../src/ring/sqe.js'
import { type Objects, TARGETS, UNCHECKED } from './targets.js'
import { anyTag, make, makeWorld, mendWorld, type Tag, type World, withoutLargeModes } from './values.js'

interface Call {
  readonly target: number
  readonly args: readonly Tag[]
}

const CALL_TIMEOUT_MS = 4000

const aCall: fc.Arbitrary<Call> = fc.record({
  target: fc.nat(TARGETS.length - 1),
  args: fc.array(anyTag, { maxLength: 5 }),
})
const aCase = fc.array(aCall, { minLength: 1, maxLength: 8 })

export function describe(calls: readonly Call[]): string {
  return calls
    .map(
      ({ target, args }) => `${TARGETS[target]!.name}(${args.map((tag) => JSON.stringify(tag)).join(', ')})`,
    )
    .join('; ')
}

/** What is wrong with an error, or null. */
function complaint(name: string, error: unknown): string | null {
  if (UNCHECKED.has(name)) return null
  if (!(error instanceof Error)) {
    // What a signal was aborted with is thrown as it is.
    return typeof error === 'symbol' ? null : `threw ${inspect(error)}`
  }
  const { code } = error as { code?: unknown }
  if (typeof code === 'string' && code !== '') return null
  if (typeof code === 'number' && error.name === 'AbortError') return null
  // A revoked proxy cannot be looked at, and Node's own functions have no better word for detached memory.
  if (/revoked|detached (or out-of-bounds )?ArrayBuffer/.test(error.message)) return null
  return `an error without a code: ${error.stack}`
}

interface Waiting {
  readonly name: string
  readonly promise: Promise<string | null>
}

/** Closes whatever a call has given, so that nothing of it is left. */
async function dispose(value: unknown): Promise<void> {
  if (typeof value !== 'object' || value === null) return
  const given = value as {
    close?: () => unknown
    destroy?: () => void
    return?: () => unknown
    on?: (event: string, listener: () => void) => void
  }
  try {
    if (typeof given.on === 'function') given.on('error', () => {})
    if (typeof given.destroy === 'function') given.destroy()
    if (typeof given.return === 'function') await given.return()
    if (typeof given.close === 'function') await given.close()
  } catch {
    // It was closed already.
  }
}

async function runCase(calls: readonly Call[], world: World): Promise<void> {
  mendWorld(world)
  const objects: Objects = {
    uring: Uring.open({ sqEntries: 8, cqEntries: 64 }),
    ring: Ring.open({ entries: 4 }),
    sqe: new Sqe(new Int32Array(32)),
    handle: await open('file', 'a+'),
  }
  const waiting: Waiting[] = []
  const problems: string[] = []
  for (const { target, args } of calls) {
    const { name, call } = TARGETS[target]!
    const isNodes = name.startsWith('fs.') && !name.startsWith('fs.handle')
    try {
      const result = call(
        objects,
        args.map((tag) => make(isNodes ? withoutLargeModes(tag) : tag, world)),
        world,
      )
      if (result instanceof Promise) {
        const promise = result.then(
          async (value) => {
            await dispose(value)
            return null
          },
          (error) => complaint(name, error),
        )
        waiting.push({ name, promise })
        // Every second call goes on at once.
        if (args.length % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
      } else await dispose(result)
    } catch (error) {
      const wrong = complaint(name, error)
      if (wrong !== null) problems.push(`${name}: ${wrong}`)
    }
  }
  // What waits for something that never comes ends with its ring.
  const { uring, ring, handle } = objects
  await new Promise((resolve) => setTimeout(resolve, 1))
  const closing = uring.close()
  ring.close()
  await handle?.close().catch(() => {})
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('late'), CALL_TIMEOUT_MS)
  })
  if ((await Promise.race([closing.then(() => ''), tooLong])) === 'late')
    problems.push('the ring does not close')
  for (const { name, promise } of waiting) {
    const outcome = await Promise.race([promise, tooLong])
    if (outcome === 'late') problems.push(`${name} does not settle`)
    else if (outcome !== null) problems.push(`${name}: ${outcome}`)
  }
  clearTimeout(timer)
  if (problems.length > 0) throw new Error(problems.join('\n'))
}

/**
 * Runs `runs` cases that follow from `seed`.
 *
 * @param traceFd - Where each case is written before it runs: after a crash it is the last line.
 * @throws Error with the smallest case that fails.
 */
export async function fuzzApi(seed: number, runs: number, folder: string, traceFd: number): Promise<number> {
  const world = makeWorld(folder)
  let inputs = 0
  const strays: unknown[] = []
  const onStray = (error: unknown): void => {
    strays.push(error)
  }
  // Nothing may come out beside the promises.
  process.on('uncaughtException', onStray)
  process.on('unhandledRejection', onStray)
  try {
    await fc.assert(
      fc.asyncProperty(aCase, async (calls) => {
        inputs += calls.length
        writeSync(traceFd, `# case ${describe(calls)}\n`)
        await runCase(calls, world)
        const stray = strays
          .splice(0)
          .find((error) => (error as { code?: string }).code !== 'ERR_FROM_CALLBACK')
        if (stray !== undefined) throw new Error(`uncaught: ${inspect(stray)}`)
      }),
      { seed, numRuns: runs, endOnFailure: false, interruptAfterTimeLimit: 120_000, reporter: report },
    )
  } finally {
    process.off('uncaughtException', onStray)
    process.off('unhandledRejection', onStray)
  }
  return inputs
}

function report(details: fc.RunDetails<[Call[]]>): void {
  if (!details.failed) return
  const { counterexample, errorInstance, seed, counterexamplePath } = details
  const shown = counterexample === null ? 'no case' : describe(counterexample[0])
  throw new Error(
    `seed ${seed}, path ${counterexamplePath}: ${shown}\n${(errorInstance as Error | null)?.message}`,
  )
}
