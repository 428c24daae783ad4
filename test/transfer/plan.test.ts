// The policy end to end: what a mapped basis does to a ring that was to have SQPOLL, in plans and in patches.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availability, disableSqpoll, forLargeFiles, sqpollFellBack } from '../../src/config/index.js'
import { resetProcessPolicyForTests } from '../../src/config/process-policy.js'
import { Uring } from '../../src/index.js'
import { IORING_SETUP_SQPOLL, prepWrite } from '../../src/ring/index.js'
import {
  deltaFile,
  type MappedBasis,
  openBasis,
  patchFile,
  planTransfer,
  signatureFile,
} from '../../src/transfer/index.js'
import { assert, needs, test } from '../harness.js'
import { Random, scratch } from './scratch.js'

const OLD = new Random(11).bytes(3_000_000)
const NEW = Buffer.concat([OLD.subarray(0, 1_000_000), Buffer.from('fresh'), OLD.subarray(1_200_000)])
const [old, fresh, delta, output] = [scratch('old'), scratch('new'), scratch('delta'), scratch('output')]
writeFileSync(old, OLD)
writeFileSync(fresh, NEW)

async function makeDelta(): Promise<void> {
  await signatureFile(old, scratch('signature'))
  await deltaFile(scratch('signature'), fresh, delta)
}

const sqpoll = { sqpoll: true, sqpollIdleMs: 10 }
const here = needs.bind(null, { ring: true, setup: 'IORING_SETUP_SQPOLL' } as const)

test('planTransfer() sees by itself whether a mapped basis is live', async () => {
  const mapped = await openBasis(old, { strategy: 'mmap', writer: 'standard' })
  await using buffered = await openBasis(old)
  assert.is(planTransfer().mmapBasisActive, false)
  assert.is(planTransfer({ basis: null }).writer, 'ring')
  assert.is(planTransfer({ basis: buffered }).mmapBasisActive, false)
  const plan = planTransfer({ basis: [buffered, mapped], config: { mmapBasisActive: false } })
  assert.is(plan.mmapBasisActive, true)
  assert.is(plan.config.mmapBasisActive, true)
  assert.is(plan.mappedBuffers, 'async')
  assert.equal(
    plan.bases.map(({ kind }) => kind),
    ['buffered', 'mapped'],
  )
  assert.is(planTransfer({ basis: mapped }).writer, 'standard')
  // Without sqpoll a mapped basis changes nothing.
  assert.equal(plan.refusals, [])
  assert.is(planTransfer({ config: { mmapBasisActive: true } }).mmapBasisActive, true)
  await mapped.close()
  assert.is(planTransfer({ basis: mapped }).mmapBasisActive, false)
})

test('planTransfer() keeps the preset for a member that is undefined', () => {
  const { config } = planTransfer({ config: { sqEntries: undefined, bufferSize: undefined } as object })
  assert.equal(config, forLargeFiles())
})

test('planTransfer() refuses bad options', () => {
  assert.throws(() => planTransfer({ writer: 'none' as 'ring' }), { code: 'ERR_INVALID_ARG_VALUE' })
  assert.throws(() => planTransfer({ config: { sqEntries: 3 } }), { code: 'ERR_OUT_OF_RANGE' })
  const wrongType = { code: 'ERR_INVALID_ARG_TYPE' }
  assert.throws(() => planTransfer({ config: { mmapBasisActive: 'yes' as never } }), wrongType)
  assert.throws(() => planTransfer({ config: null as never }), wrongType)
  assert.throws(() => planTransfer({ bases: [] } as object), { code: 'ERR_INVALID_ARG_VALUE' })
})

test(
  'a plan with a mapped basis opens a regular ring and says why; a buffered one keeps SQPOLL',
  here(async () => {
    resetProcessPolicyForTests()
    await using buffered = await openBasis(old)
    const kept = planTransfer({ basis: buffered, config: sqpoll })
    assert.equal(kept.refusals, [])
    {
      await using uring = kept.open()!
      assert.is((uring.driver.ring.flags & IORING_SETUP_SQPOLL) !== 0, true)
      assert.is(uring.report.sqpoll.reason, 'granted')
    }
    assert.is(sqpollFellBack(), false)

    await using mapped = await openBasis(old, { strategy: 'mmap', writer: 'standard' })
    const plan = planTransfer({ basis: mapped, config: sqpoll })
    assert.equal(
      plan.refusals.map(({ reason }) => reason),
      ['mmap-basis-active'],
    )
    assert.ok(
      plan.reasons.some((line) => /refusing SQPOLL because an mmap basis reader is active/.test(line)),
    )
    await using uring = plan.open()!
    assert.is(uring.driver.ring.flags & IORING_SETUP_SQPOLL, 0)
    assert.is(uring.report.sqpoll.requested, true)
    assert.is(uring.report.sqpoll.reason, 'mmap-basis-active')
    assert.is(uring.mappedBuffers, 'async')
    assert.is(sqpollFellBack(), true)
    resetProcessPolicyForTests()
  }),
)

test(
  'patchFile() with SQPOLL asked for: a mapped basis gets a regular ring, a buffered one keeps it',
  here(async () => {
    await makeDelta()
    const mapped = await patchFile(old, delta, output, { basis: 'mmap', config: sqpoll })
    assert.ok(readFileSync(output).equals(NEW))
    assert.is(mapped.basis.kind, 'mapped')
    assert.is(mapped.plan.writer, 'standard')
    assert.is(mapped.plan.mmapBasisActive, true)
    assert.is(mapped.ring?.sqpoll.granted, false)
    assert.is(mapped.ring?.sqpoll.reason, 'mmap-basis-active')
    assert.is(mapped.backend, 'io_uring')

    const buffered = await patchFile(old, delta, output, { basis: 'buffered', config: sqpoll })
    assert.ok(readFileSync(output).equals(NEW))
    assert.is(buffered.basis.kind, 'buffered')
    assert.is(buffered.plan.mmapBasisActive, false)
    assert.is(buffered.ring?.sqpoll.reason, 'granted')

    // A ring that writes takes its data from the heap, whatever was asked for.
    const forced = await patchFile(old, delta, output, { basis: 'mmap', writer: 'ring', config: sqpoll })
    assert.is(forced.basis.kind, 'buffered')
    assert.is(forced.basis.reason, 'ring-writer')
    assert.is(forced.ring?.sqpoll.reason, 'granted')
    resetProcessPolicyForTests()
  }),
)

test(
  'a mapped basis whose pages are pinned keeps SQPOLL',
  here(async () => {
    await makeDelta()
    const config = { ...sqpoll, pinMmapBasis: true }
    const pinned = await patchFile(old, delta, output, { basis: 'mmap', config })
    assert.ok(readFileSync(output).equals(NEW))
    assert.is(pinned.basis.kind, 'mapped')
    assert.is(pinned.ring?.sqpoll.reason, 'granted')
    assert.is(pinned.plan.mappedBuffers, 'allow')
    assert.ok(pinned.plan.reasons.some((line) => /pinned/.test(line)))
    resetProcessPolicyForTests()
  }),
)

test(
  'a pinned basis is let go of piece by piece, however large it is',
  here(async () => {
    const [large, signature] = [`${old}-large`, `${old}-large-signature`]
    const content = Buffer.alloc(24 << 20, 'some of the same')
    for (let at = 0; at < content.length; at += 4096) content.writeUInt32LE(at, at)
    writeFileSync(large, content)
    await signatureFile(large, signature)
    await deltaFile(signature, large, delta)
    const config = { ...sqpoll, pinMmapBasis: true }
    const options = { basis: 'mmap', config, share: false } as const
    assert.is((await patchFile(large, delta, output, options)).matchedBytes, content.length)
    assert.ok(readFileSync(output).equals(content))
    for (const path of [large, signature]) rmSync(path)
    resetProcessPolicyForTests()
  }),
)

test(
  'a mapping made after the ring was built is caught by the ring',
  here(async () => {
    await using uring = Uring.open({ ...sqpoll, mappedBuffers: 'refuse' })
    assert.is(uring.report.sqpoll.reason, 'granted')
    await using mapped = await openBasis(old, { strategy: 'mmap', writer: 'standard' })
    assert.is(mapped.kind, 'mapped')
    const address = (mapped as MappedBasis).addressAt(0, 4096)
    assert.throws(() => uring.driver.submit((sqe) => prepWrite(sqe, 1, address, 4096, 0)), {
      code: 'ERR_URING_MAPPED_BUFFER',
    })
  }),
)

test('without io_uring a plan says why, and opens nothing', async () => {
  process.env['URING_DISABLE'] = '1'
  try {
    const plan = planTransfer({ config: { sqpoll: true } })
    assert.is(plan.availability.available, false)
    assert.is(plan.open(), null)
    assert.ok(plan.reasons.some((line) => line.startsWith('ring: none, io_uring: ')))
    await makeDelta()
    const result = await patchFile(old, delta, output, { config: sqpoll })
    assert.ok(readFileSync(output).equals(NEW))
    assert.is(result.backend, 'node:fs')
    assert.is(result.ring, null)
    assert.is(result.basis.kind, 'mapped')
  } finally {
    delete process.env['URING_DISABLE']
  }
})

test(
  'after disableSqpoll() nobody gets it, and a mapped basis is not the reason',
  here(async () => {
    disableSqpoll()
    await using mapped = await openBasis(old, { strategy: 'mmap', writer: 'standard' })
    const plan = planTransfer({ basis: mapped, config: sqpoll })
    assert.equal(
      plan.refusals.map(({ reason }) => reason),
      ['disabled-by-policy'],
    )
    resetProcessPolicyForTests()
    assert.ok(availability().available)
  }),
)

test.run()
