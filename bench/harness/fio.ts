// fio as a contender: its own io_uring engine doing the same reads. It has no command loop, so each run is a process
// of its own; fio times its reads itself and leaves its start-up out.

import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import type { Contender } from './contender.js'
import type { Measurement } from './measurement.js'

const execute = promisify(execFile)

export interface FioReads {
  readonly file: string
  readonly depth: number
  readonly direct: boolean
}

/** The part of `fio --output-format=json` that is read here. */
interface FioOutput {
  readonly jobs: readonly [
    {
      readonly error: number
      readonly usr_cpu: number
      readonly sys_cpu: number
      readonly job_runtime: number
      readonly read: { readonly total_ios: number; readonly runtime: number }
    },
  ]
}

/** Random 4 KiB reads of the whole file by `fio --ioengine=io_uring`, gathered in batches as the other loops do. */
export function fioContender({ file, depth, direct }: FioReads): Contender {
  const args = [
    '--name=read',
    `--filename=${file}`,
    '--rw=randread',
    '--norandommap',
    '--bs=4k',
    '--ioengine=io_uring',
    `--iodepth=${depth}`,
    `--iodepth_batch_submit=${depth}`,
    '--iodepth_batch_complete_min=1',
    `--iodepth_batch_complete_max=${depth}`,
    `--direct=${direct ? 1 : 0}`,
    // Without it fio would drop the file from the page cache first.
    '--invalidate=0',
    '--readonly',
    '--time_based',
    '--gtod_reduce=1',
    '--thread',
    '--output-format=json',
  ]
  return {
    name: 'fio',
    async start() {
      const { error, status } = spawnSync('fio', ['--version'])
      if (error !== undefined) return 'fio is not installed'
      if (status !== 0) return `fio --version ended with exit code ${status}`
      const { stdout } = spawnSync('fio', ['--enghelp'], { encoding: 'utf8' })
      return /^\s*io_uring$/m.test(stdout) ? null : 'this fio was built without its io_uring engine'
    },
    async run(milliseconds) {
      const { stdout } = await execute('fio', [...args, `--runtime=${Math.round(milliseconds)}ms`])
      return parseFio(stdout)
    },
    async stop() {},
  }
}

/** @throws Error when fio reports one of its own. */
export function parseFio(output: string): Measurement {
  // fio prints notes before the JSON when something about the machine bothers it.
  const { jobs } = JSON.parse(output.slice(output.indexOf('{'))) as FioOutput
  const job = jobs[0]
  if (job.error !== 0) throw new Error(`fio: error ${job.error}`)
  const cpuShare = (job.usr_cpu + job.sys_cpu) / 100
  return {
    ops: job.read.total_ios,
    seconds: job.read.runtime / 1000,
    cpuMicros: cpuShare * job.job_runtime * 1000,
  }
}
