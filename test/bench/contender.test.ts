import { programContender } from '../../bench/harness/contender.js'
import { assert, test } from '../harness.js'

/** A child of its own making: Node runs `code`, which speaks the protocol or breaks it. */
function child(code: string) {
  return programContender('child', { file: process.execPath, args: ['-e', code] })
}

const ECHO = `
  console.log('{"ready":true}')
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    console.log(JSON.stringify({ ops: Number(line.split(' ')[1]), seconds: 2, cpuMicros: 3 }))
  })`

async function failureOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing',
    (error: Error) => error.message,
  )
}

test('a child contender answers run after run, and leaves when its stdin ends', async () => {
  const contender = child(ECHO)
  assert.is(await contender.start(), null)
  assert.equal(await contender.run(300), { ops: 300, seconds: 2, cpuMicros: 3 })
  assert.equal(await contender.run(20.4), { ops: 20, seconds: 2, cpuMicros: 3 })
  await contender.stop()
  await contender.stop()
})

test('a child contender passes on the reason why it is skipped', async () => {
  const contender = child(`console.log('{"skip":"no such thing here"}')`)
  assert.is(await contender.start(), 'no such thing here')
  await contender.stop()
})

test('a contender without a program is skipped without a process', async () => {
  const contender = programContender('c', { skip: 'no C compiler' })
  assert.is(await contender.start(), 'no C compiler')
  await contender.stop()
})

test('a child that dies at its start is an error that carries what it said, never a skip', async () => {
  const contender = child(`console.error('out of luck'); process.exit(3)`)
  assert.match(
    await failureOf(contender.start()),
    /child: its process ended early \(exit code 3\)\nout of luck/,
  )
  await contender.stop()
})

test('a child that is killed in a run is an error that names the signal', async () => {
  const contender = child(`
    console.log('{"ready":true}')
    process.stdin.once('data', () => process.kill(process.pid, 'SIGKILL'))`)
  assert.is(await contender.start(), null)
  assert.match(await failureOf(contender.run(1)), /ended early \(SIGKILL\)/)
  await contender.stop()
})

test.run()
