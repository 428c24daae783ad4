// Tells what this worker sees of the process-wide state, then changes it.

import { parentPort } from 'node:worker_threads'
import { disableSqpoll, policyState, sqpollFellBack } from '../../../src/config/index.js'
import { noteSqpollFellBack } from '../../../src/config/process-policy.js'

const seen = { before: policyState(), fellBack: sqpollFellBack() }
disableSqpoll()
noteSqpollFellBack()
parentPort!.postMessage(seen)
