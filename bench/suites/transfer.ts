// `transfer`: librsync's deltas, next to its program rdiff. The copies have a suite of their own.

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { deltaFile, signatureFile } from '../../src/transfer/index.js'
import { type Contender, tsContender } from '../harness/contender.js'
import { measureCase } from '../harness/measure.js'
import type { Measurement, Row, Skip, Target } from '../harness/measurement.js'
import { nextRandom, SEED } from '../harness/random.js'
import {
  atLeast,
  below,
  type Column,
  detailColumn,
  findRow,
  RATIO,
  SPREAD,
  type Suite,
} from '../harness/suite.js'

const MEBIBYTE = 2 ** 20
const BASIS_MEBIBYTES = 1024
const QUICK_MEBIBYTES = 8
/** Signatures and deltas are bound by the processor; their speed does not depend on the size. */
const SCANNED_MEBIBYTES = 128
/** Every tenth mebibyte of the new file is not in the old one. */
const LITERAL_PERIOD = 10
const MAX_ROUNDS = 5
const MAX_ADDED_MEBIBYTES = 64
const RDIFF = 'rdiff'

const SECONDS: Column = { title: 's', value: (row) => 1 / row.opsPerSec, decimals: 3 }
const CPU_SECONDS: Column = { title: 'CPU s', value: (row) => row.cpuMicrosPerOp / 1e6, decimals: 3 }

interface Files {
  readonly basis: string
  readonly fresh: string
  readonly signature: string
  readonly delta: string
}

/** Two files of `mebibytes`, the second with a tenth of its own, their signature and delta. */
async function makeFiles(folder: string, mebibytes: number): Promise<Files> {
  const [basis, fresh, signature, delta] = ['basis', 'new', 'signature', 'delta'].map((name) =>
    join(folder, `${name}-${mebibytes}`),
  ) as [string, string, string, string]
  const basisFd = openSync(basis, 'w')
  const freshFd = openSync(fresh, 'w')
  let state = SEED
  const block = new Uint32Array(MEBIBYTE / 4)
  const fill = (): void => {
    for (let index = 0; index < block.length; index++) {
      state = nextRandom(state)
      block[index] = state
    }
  }
  for (let index = 0; index < mebibytes; index++) {
    fill()
    writeSync(basisFd, block)
    if (index % LITERAL_PERIOD === LITERAL_PERIOD / 2) fill()
    writeSync(freshFd, block)
  }
  closeSync(basisFd)
  closeSync(freshFd)
  await signatureFile(basis, signature)
  await deltaFile(signature, fresh, delta)
  return { basis, fresh, signature, delta }
}

/** The program rdiff, one process a run. */
function rdiffContender(args: readonly string[]): Contender {
  return {
    name: RDIFF,
    async start() {
      const { error } = spawnSync(RDIFF, ['--version'])
      return error === undefined ? null : `the program rdiff cannot be run: ${error.message}`
    },
    async run(): Promise<Measurement> {
      // As bench/children/transfer.ts does.
      rmSync(args.at(-1)!, { force: true })
      const startedMs = performance.now()
      // The shell tells what processor time its children took.
      const script = `${RDIFF} -f "$@" && times`
      const { status, stdout, stderr } = spawnSync('sh', ['-c', script, RDIFF, ...args], { encoding: 'utf8' })
      const seconds = (performance.now() - startedMs) / 1000
      if (status !== 0) throw new Error(`rdiff ${args.join(' ')}: ${stderr}`)
      return { ops: 1, seconds, cpuMicros: childMicros(stdout) }
    },
    async stop() {},
  }
}

/** The second line of what the shell's `times` prints: user and system time of its children, as 0m0.010s. */
function childMicros(times: string): number {
  const spent = times.trim().split('\n')[1] ?? ''
  let micros = 0
  for (const [, minutes, seconds] of spent.matchAll(/(\d+)m([\d.]+)s/g)) {
    micros += (Number(minutes) * 60 + Number(seconds)) * 1e6
  }
  return micros
}

/** What a Node process takes that does nothing, at its peak, in MiB. */
function bareMebibytes(): number {
  const code = `console.log(/VmHWM:\\s+(\\d+)/.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'))[1])`
  return Number(spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' }).stdout) / 1024
}

export const transfer: Suite = {
  name: 'transfer',
  title: 'Deltas of librsync',
  columns: [
    SECONDS,
    CPU_SECONDS,
    SPREAD,
    RATIO,
    detailColumn('peak MiB over bare Node', 'addedMebibytes', 1),
  ],
  bar: { ...SECONDS, title: 'seconds' },
  async run({ quick, effort, folder, progress }) {
    const rows: Row[] = []
    const skipped: Skip[] = []
    const limited = { ...effort, rounds: Math.min(effort.rounds, MAX_ROUNDS), warmUpRuns: 1 }
    const bare = bareMebibytes()
    const output = join(folder, 'output')

    async function measure(name: string, contenders: readonly Contender[]): Promise<void> {
      progress(name)
      const result = await measureCase({ suite: 'transfer', name, contenders }, limited)
      for (const row of result.rows) {
        const peak = row.details?.['peakMebibytes']
        rows.push(peak === undefined ? row : { ...row, details: { addedMebibytes: peak - bare } })
      }
      skipped.push(...result.skipped)
    }

    const mebibytes = quick ? QUICK_MEBIBYTES : BASIS_MEBIBYTES
    progress(`writing files of ${mebibytes} MiB`)
    const files = await makeFiles(folder, mebibytes)
    const { basis, delta } = files
    const disabled = { env: { URING_DISABLE: '1' } }
    const literalPercent = Math.round((statSync(delta).size / statSync(basis).size) * 100)
    const patchCase = `patch, basis of ${mebibytes} MiB, ${literalPercent} % literals`
    await measure(patchCase, [
      tsContender('uring', 'transfer.ts', ['patch', basis, delta, output, 'buffered']),
      tsContender('uring-mapped', 'transfer.ts', ['patch', basis, delta, output, 'mapped']),
      tsContender('uring-disabled', 'transfer.ts', ['patch', basis, delta, output, 'buffered'], disabled),
      rdiffContender(['patch', basis, delta, `${output}-rdiff`]),
    ])
    for (const path of [...Object.values(files), output, `${output}-rdiff`]) rmSync(path, { force: true })

    const scanned = await makeFiles(folder, quick ? QUICK_MEBIBYTES : SCANNED_MEBIBYTES)
    const size = `${quick ? QUICK_MEBIBYTES : SCANNED_MEBIBYTES} MiB`
    await measure(`signature of ${size}`, [
      tsContender('uring', 'transfer.ts', ['signature', scanned.basis, '', output]),
      rdiffContender(['signature', scanned.basis, `${output}-rdiff`]),
    ])
    await measure(`delta of ${size}`, [
      tsContender('uring', 'transfer.ts', ['delta', scanned.signature, scanned.fresh, output]),
      rdiffContender(['delta', scanned.signature, scanned.fresh, `${output}-rdiff`]),
    ])

    const ratio = findRow(rows, patchCase, RDIFF)?.ratioToUring ?? null
    const added = findRow(rows, patchCase, 'uring')?.details?.['addedMebibytes'] ?? null
    const targets: Target[] = [
      atLeast('transfer', `${patchCase}: >= 1 times rdiff`, ratio, 1),
      below(
        'transfer',
        `${patchCase}: < ${MAX_ADDED_MEBIBYTES} MiB over bare Node`,
        added,
        MAX_ADDED_MEBIBYTES,
      ),
    ]
    return { rows, skipped, targets }
  },
}
