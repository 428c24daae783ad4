import { parseOptions } from '../../bench/harness/options.js'
import { assert, test } from '../harness.js'

const KNOWN = ['nop', 'read', 'memory']

test('parseOptions() chooses every suite when none is named', () => {
  const options = parseOptions([], KNOWN)
  assert.equal(options, { suites: KNOWN, json: false, svg: null, rounds: null, quick: false, help: false })
})

test('parseOptions() keeps the order of the suites and drops repetitions', () => {
  assert.equal(parseOptions(['memory', 'nop', 'memory'], KNOWN).suites, ['nop', 'memory'])
})

test('parseOptions() reads every option', () => {
  const options = parseOptions(['--json', 'read', '--svg', 'out.svg', '--runs', '3', '--quick'], KNOWN)
  assert.equal(options, { suites: ['read'], json: true, svg: 'out.svg', rounds: 3, quick: true, help: false })
})

test('parseOptions() refuses an unknown suite, an unknown option and a bad number of runs', () => {
  assert.throws(() => parseOptions(['nops'], KNOWN), /No such suite: nops\. There are: nop, read, memory/)
  assert.throws(() => parseOptions(['--jsno'], KNOWN), /--jsno/)
  for (const runs of ['0', '1.5', 'many', '1001']) {
    assert.throws(() => parseOptions(['--runs', runs], KNOWN), /--runs must be an integer from 1 to 1000/)
  }
})

test.run()
