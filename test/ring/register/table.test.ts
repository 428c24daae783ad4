import { BufferRing } from '../../../src/ring/buffer-ring.js'
import * as register from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import { constantNames, constantValue, IORING_REGISTER_LAST } from '../../../src/syscalls/abi/index.js'
import { assert, test } from '../../harness.js'

const { registrationFunctions } = register
const CLASSES = { Ring, BufferRing, RegisteredWaits: register.RegisteredWaits }

function existing(name: string): boolean {
  const [owner, member] = name.split('.')
  if (member === undefined) return typeof (register as Record<string, unknown>)[name] === 'function'
  const type = CLASSES[owner as keyof typeof CLASSES]
  return type !== undefined && (member in type.prototype || member in type)
}

test('registrationFunctions has every number of io_uring_register(2), once', () => {
  const numbers = Object.keys(registrationFunctions).map((name) =>
    constantValue(name as 'IORING_REGISTER_BUFFERS'),
  )
  const opcodes = numbers.filter((number) => number < IORING_REGISTER_LAST).sort((a, b) => a - b)
  assert.equal(opcodes, [...Array(IORING_REGISTER_LAST).keys()])
  const known = new Set<string>(constantNames())
  assert.equal(
    Object.keys(registrationFunctions).filter((name) => !known.has(name)),
    [],
  )
})

test('registrationFunctions names functions that there are, and all of them', () => {
  const named = new Set(Object.values(registrationFunctions).flat())
  assert.equal(
    [...named].filter((name) => !existing(name)),
    [],
  )
  // What registers nothing by itself.
  const others = ['releaseBufferTag', 'RegisteredWaits']
  const missing = Object.entries(register)
    .filter(([name, value]) => typeof value === 'function' && !named.has(name) && !others.includes(name))
    .map(([name]) => name)
  assert.equal(missing, [])
})

test.run()
