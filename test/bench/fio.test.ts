import { parseFio } from '../../bench/harness/fio.js'
import { assert, test } from '../harness.js'

function fioOutput(error: number): string {
  const read = { total_ios: 5000, runtime: 250 }
  return JSON.stringify({ jobs: [{ error, usr_cpu: 30, sys_cpu: 50, job_runtime: 500, read }] })
}

test('parseFio() reads reads, time and processor time', () => {
  assert.equal(parseFio(fioOutput(0)), { ops: 5000, seconds: 0.25, cpuMicros: 400_000 })
})

test('parseFio() skips the notes that fio prints before its JSON', () => {
  assert.is(parseFio(`note: both iodepth >= 1 and synchronous I/O engine\n${fioOutput(0)}`).ops, 5000)
})

test('parseFio() throws on an error of the job', () => {
  assert.throws(() => parseFio(fioOutput(22)), /fio: error 22/)
})

test.run()
