import { opcodePreps } from '../../../src/ring/prep/index.js'
import { opcodeName, opcodesSince } from '../../../src/syscalls/abi/index.js'
import { assert, test } from '../../harness.js'
import { call, emptySqe, type PrepName, prepCases } from './cases.js'

test('opcodePreps names every opcode, each with at least one function', () => {
  const known = Object.values(opcodesSince).flatMap((names) => Object.keys(names))
  assert.equal(Object.keys(opcodePreps).sort(), known.filter((name) => name !== 'IORING_OP_LAST').sort())
  for (const [opcode, preps] of Object.entries(opcodePreps)) assert.ok(preps.length > 0, opcode)
})

test('opcodePreps is what the functions do', () => {
  const found: Record<string, string[]> = {}
  for (const { prep, args } of prepCases) {
    // It only adds to an entry that another function has prepared.
    if (prep === 'prepSendSetAddr') continue
    const sqe = emptySqe()
    call(
      prep,
      sqe,
      args.map(([, , value]) => value),
    )
    const opcode = opcodeName(sqe.words[0]! & 0xff)
    found[opcode] = [...(found[opcode] ?? []), prep]
  }
  for (const [opcode, preps] of Object.entries(opcodePreps) as [string, readonly PrepName[]][]) {
    assert.equal([...preps].sort(), (found[opcode] ?? []).sort(), opcode)
  }
})

test.run()
