// Error numbers become errors that look like Node's own.

import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { checkResult, errnoMessage, errnoName, SystemError, systemError } from '../../src/syscalls/errno.js'
import * as values from '../../src/syscalls/errno-values.js'
import { assert, test } from '../harness.js'

const fixture = JSON.parse(readFileSync(new URL('../fixtures/uapi-abi.json', import.meta.url), 'utf8')) as {
  extra_constants: Record<string, number>
}

test('errnoName() takes either sign', () => {
  assert.is(errnoName(2), 'ENOENT')
  assert.is(errnoName(-2), 'ENOENT')
})

test('errnoName() agrees with Node on every error that Node knows', () => {
  for (const [name, number] of Object.entries(constants.errno)) {
    const answer = errnoName(number)
    // Two names of one number (EAGAIN and EWOULDBLOCK): either is right.
    assert.is((constants.errno as Record<string, number>)[answer] ?? number, number, name)
  }
})

test('errnoName() gives no Linux error number a wrong name', () => {
  const numbers = fixture.extra_constants
  const unnamed: string[] = []
  for (const [name, number] of Object.entries(numbers)) {
    if (!/^E[A-Z0-9]+$/.test(name) || /^E(POLL|FD)/.test(name)) continue
    const answer = errnoName(number)
    if (answer === `E${number}`) unnamed.push(name)
    else assert.is(numbers[answer], number, name)
  }
  // What io_uring, files and sockets answer with has a name.
  for (const name of [
    'EBADFD',
    'EUCLEAN',
    'EREMOTEIO',
    'ENOKEY',
    'EOWNERDEAD',
    'EHWPOISON',
    'ENOBUFS',
    'ETIME',
  ]) {
    assert.not(unnamed.includes(name), name)
  }
})

test('errnoName() makes up a name for an unknown number', () => {
  assert.is(errnoName(-4000), 'E4000')
  assert.is(errnoMessage(-4000), 'unknown error')
})

test('SystemError has the shape and the message of an error of node:fs', () => {
  let native: NodeJS.ErrnoException | undefined
  try {
    readFileSync('/no/such/file')
  } catch (error) {
    native = error as NodeJS.ErrnoException
  }
  const error = systemError(-2, 'open', { path: '/no/such/file' })
  assert.instance(error, Error)
  assert.instance(error, SystemError)
  assert.is(error.message, native?.message)
  assert.is(error.code, native?.code)
  assert.is(error.errno, native?.errno)
  assert.is(error.syscall, native?.syscall)
  assert.is(error.path, native?.path)
  assert.is(error.name, native?.name)
  assert.is(String(error), String(native))
})

test('SystemError has no path, dest or cause that was not given', () => {
  const error = systemError(9, 'close')
  assert.is(error.errno, -9)
  assert.not('path' in error)
  assert.not('dest' in error)
  assert.not('cause' in error)
  assert.is(error.message, 'EBADF: bad file descriptor, close')
})

test('SystemError keeps path, dest, hint and cause', () => {
  const cause = new Error('first')
  const error = systemError(18, 'rename', { path: 'a', dest: 'b', hint: 'copy it', cause })
  assert.is(error.dest, 'b')
  assert.is(error.cause, cause)
  assert.match(error.message, /^EXDEV: .*, rename 'a' -> 'b' \(copy it\)$/)
})

test('checkResult() returns what is not negative and throws what is', () => {
  assert.is(checkResult(0, 'read'), 0)
  assert.is(checkResult(42, 'read'), 42)
  assert.throws(() => checkResult(-22, 'read'), { code: 'EINVAL', syscall: 'read' })
})

test('the errors that the code looks for have the numbers of this system', () => {
  const numbers: Readonly<Record<string, number>> = constants.errno
  for (const [name, value] of Object.entries(values)) {
    // EBADR is none of Node's.
    if (numbers[name] === undefined) assert.is(errnoName(value), name)
    else assert.is(value, -numbers[name], name)
  }
})

test.run()
