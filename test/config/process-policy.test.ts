import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { disableSqpoll, pinStatistics, policyState, sqpollFellBack } from '../../src/config/index.js'
import {
  countPinAttempt,
  countPinDowngrade,
  noteSqpollFellBack,
  resetProcessPolicyForTests,
} from '../../src/config/process-policy.js'
import { assert, test } from '../harness.js'

// A worker does not inherit the loader that lets this process run TypeScript, so it loads that first.
function startWorker(path: string): Worker {
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  const file = JSON.stringify(new URL(path, import.meta.url).href)
  return new Worker(`import(${loader}).then((tsx) => tsx.register()).then(() => import(${file}))`, {
    eval: true,
  })
}

test('a fresh process has SQPOLL enabled, pinning on and nothing fallen back', () => {
  assert.equal(policyState(), { sqpollDisabled: false, pinningOff: false })
  assert.not(sqpollFellBack())
  assert.equal(pinStatistics(), { attempts: 0, downgrades: 0, off: false })
})

test('disableSqpoll() is one way and idempotent', () => {
  resetProcessPolicyForTests()
  disableSqpoll()
  disableSqpoll()
  assert.ok(policyState().sqpollDisabled)
  assert.not(sqpollFellBack())
})

test('sqpollFellBack() stays true', () => {
  resetProcessPolicyForTests()
  noteSqpollFellBack()
  assert.ok(sqpollFellBack())
  assert.ok(sqpollFellBack())
})

test('pinning is off once one attempt in twenty was refused', () => {
  resetProcessPolicyForTests()
  for (let attempt = 0; attempt < 20; attempt++) countPinAttempt()
  assert.not(policyState().pinningOff)
  countPinAttempt()
  assert.ok(countPinDowngrade(), 'the first')
  assert.not(policyState().pinningOff, '1 of 21 is below 0.05')
  assert.not(countPinDowngrade(), 'not the first')
  assert.ok(policyState().pinningOff)

  resetProcessPolicyForTests()
  for (let attempt = 0; attempt < 20; attempt++) countPinAttempt()
  countPinDowngrade()
  assert.ok(policyState().pinningOff, '1 of 20 is 0.05')
})

test('the state is one for all threads of the process', async () => {
  resetProcessPolicyForTests()
  const worker = startWorker('./children/policy-worker.ts')
  const [seen] = (await once(worker, 'message')) as [unknown]
  assert.equal(seen, { before: { sqpollDisabled: false, pinningOff: false }, fellBack: false })
  assert.ok(policyState().sqpollDisabled, 'what a worker switches off is off here')
  assert.ok(sqpollFellBack())
  await worker.terminate()

  const second = startWorker('./children/policy-worker.ts')
  const [again] = (await once(second, 'message')) as [unknown]
  assert.equal(again, { before: { sqpollDisabled: true, pinningOff: false }, fellBack: true })
  await second.terminate()
  resetProcessPolicyForTests()
})

test.run()
