// Batches of NOPs through one ring: the loops of the `nop`, `scaling` and `memory` suites. bench/peers/nop.c does the
// same on liburing.

import { prepNop, type Ring } from '../../src/ring/index.js'

// One callback for all batches, on numbers that stay 32-bit integers: a larger sum would be a heap number, and
// the `memory` suite would count the bench's own garbage.
let sum = 0

function onCqe(userDataLow: number, _userDataHigh: number, res: number): void {
  if (res !== 0) throw new Error(`NOP: res ${res}`)
  sum = (sum + userDataLow) | 0
}

/** Submits with `io_uring_enter` and waits in it. */
export function runEntering(ring: Ring, batch: number, batches: number): void {
  sum = 0
  for (let done = 0; done < batches; done++) {
    for (let index = 0; index < batch; index++) {
      const sqe = ring.getSqe()!
      prepNop(sqe)
      sqe.setUserData(index)
    }
    let reaped = 0
    do {
      ring.submitAndWait(batch - reaped)
      reaped += ring.forEachCqe(onCqe)
    } while (reaped < batch)
  }
  checkSum(batch, batches)
}

/** Publishes to an SQPOLL thread and spins until its completions are there. */
export function runPolled(ring: Ring, batch: number, batches: number): void {
  sum = 0
  for (let done = 0; done < batches; done++) {
    for (let index = 0; index < batch; index++) {
      let sqe = ring.getSqe()
      // The poll thread may post completions before it moves the queue's head.
      while (sqe === null) sqe = ring.getSqe()
      prepNop(sqe)
      sqe.setUserData(index)
    }
    ring.submit()
    let reaped = 0
    do {
      reaped += ring.forEachCqe(onCqe)
    } while (reaped < batch)
  }
  checkSum(batch, batches)
}

function checkSum(batch: number, batches: number): void {
  const expected = Number(BigInt.asIntN(32, BigInt(batches) * ((BigInt(batch) * BigInt(batch - 1)) / 2n)))
  if (sum !== expected) throw new Error('The user_data sum is wrong: a completion was lost or came twice')
}
