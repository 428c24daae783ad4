// Errors of the caller: class, code and message.

import {
  checkBoolean,
  checkInteger,
  checkMembers,
  invalidState,
  invalidType,
  invalidValue,
  outOfRange,
} from '../../src/syscalls/argument-errors.js'
import { assert, test } from '../harness.js'

function thrownBy(body: () => unknown): Error & { code?: string } {
  try {
    body()
  } catch (error) {
    return error as Error
  }
  return assert.unreachable('nothing was thrown') as never
}

test('invalidType() is a TypeError that names the argument and shows what came', () => {
  const error = invalidType('fd', 'of type number', 'three')
  assert.instance(error, TypeError)
  assert.is((error as { code?: string }).code, 'ERR_INVALID_ARG_TYPE')
  assert.is(error.message, `The "fd" argument must be of type number. Received type string ('three')`)
})

test('invalidType() shows each kind of value', () => {
  const received = (value: unknown): string =>
    invalidType('a', 'b', value).message.replace(/^.*Received /, '')
  assert.is(received(undefined), 'undefined')
  assert.is(received(null), 'null')
  assert.is(received(7), 'type number (7)')
  assert.is(received(7n), 'type bigint (7n)')
  assert.is(
    received(function named() {}),
    'function named',
  )
  assert.is(
    received(() => {}),
    'function (anonymous)',
  )
  assert.is(received({ a: 1 }), '{ a: 1 }')
  assert.ok(received('x'.repeat(200)).length < 100, 'a long value is cut')
})

test('invalidType() speaks of a property when the name has a dot', () => {
  assert.match(
    invalidType('options.fd', 'of type number', 'x').message,
    /^The "options\.fd" property must be/,
  )
})

test('invalidValue() is a TypeError with the reason and the value', () => {
  const error = invalidValue('flags', 3, 'makes no sense')
  assert.instance(error, TypeError)
  assert.is((error as { code?: string }).code, 'ERR_INVALID_ARG_VALUE')
  assert.is(error.message, `The argument 'flags' makes no sense. Received 3`)
})

test('outOfRange() is a RangeError with the bound and the value', () => {
  const error = outOfRange('length', '>= 0', -1)
  assert.instance(error, RangeError)
  assert.is((error as { code?: string }).code, 'ERR_OUT_OF_RANGE')
  assert.is(error.message, 'The value of "length" is out of range. It must be >= 0. Received -1')
  assert.match(outOfRange('length', '>= 0', 5n).message, /Received 5n$/)
})

test('invalidState() carries its code', () => {
  assert.is((invalidState('closed') as { code?: string }).code, 'ERR_INVALID_STATE')
})

test('checkInteger() returns an integer inside its bounds, the bounds included', () => {
  for (const value of [-1, 0, 7, 10]) assert.is(checkInteger('n', value, -1, 10), value)
})

test('checkInteger() refuses what is no number', () => {
  for (const value of ['1', 1n, null, undefined, {}, true]) {
    assert.is(thrownBy(() => checkInteger('n', value, 0, 10)).code, 'ERR_INVALID_ARG_TYPE')
  }
})

test('checkInteger() refuses numbers out of range, fractions, NaN and infinities', () => {
  for (const value of [-1, 11, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const error = thrownBy(() => checkInteger('n', value, 0, 10))
    assert.is(error.code, 'ERR_OUT_OF_RANGE')
    assert.match(error.message, new RegExp(`an integer >= 0 and <= 10\\. Received ${value}$`))
  }
})

test('checkBoolean() takes booleans only', () => {
  assert.is(checkBoolean('b', true), true)
  assert.is(checkBoolean('b', false), false)
  for (const value of [0, 1, 'true', null, undefined]) {
    assert.is(thrownBy(() => checkBoolean('b', value)).code, 'ERR_INVALID_ARG_TYPE')
  }
})

test('checkMembers() names a misspelled option and the one that was meant', () => {
  assert.is(checkMembers('', { sqEntries: 1 }, ['sqEntries']), undefined)
  const error = thrownBy(() => checkMembers('config', { sqentries: 1 }, ['sqEntries', 'cqEntries']))
  assert.is(error.code, 'ERR_INVALID_ARG_VALUE')
  assert.match(error.message, /'config\.sqentries' is not an option; did you mean 'sqEntries'\?/)
  assert.match(thrownBy(() => checkMembers('', { wrong: 1 }, ['a', 'b'])).message, /known: a, b/)
})

test.run()
