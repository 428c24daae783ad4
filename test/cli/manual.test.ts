// The help texts and the manual page name the same commands and options.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { helpText, optionsOf } from '../../src/cli/command.js'
import { COMMANDS } from '../../src/cli/commands.js'
import { assert, needs, test } from '../harness.js'
import { uring } from './program.js'

const PAGE = fileURLToPath(new URL('../../man/uring.1', import.meta.url))
const page = readFileSync(PAGE, 'utf8')

/** The options that the page has under a heading, a synopsis or a list; `--name` is written `Fl -name`. */
function flagsOfPage(): Set<string> {
  const flags = new Set<string>()
  for (const line of page.split('\n')) {
    if (!/^\.(It|Op|Fl|Nm)\b/.test(line)) continue
    for (const match of line.matchAll(/\bFl (-?[A-Za-z][A-Za-z-]*)/g)) flags.add(`-${match[1]}`)
  }
  return flags
}

/** All options of the program, as they are given. */
function flagsOfProgram(): Set<string> {
  const flags = new Set(['-V', '--version'])
  for (const command of COMMANDS) {
    for (const [name, { short }] of Object.entries(optionsOf(command))) {
      flags.add(`--${name}`)
      if (short !== undefined) flags.add(`-${short}`)
    }
  }
  return flags
}

test('the manual page names every option of the program, and no other', () => {
  assert.equal([...flagsOfPage()].sort(), [...flagsOfProgram()].sort())
})

test('the manual page gives each option the value that its help names', () => {
  for (const command of COMMANDS) {
    for (const [name, { value }] of Object.entries(optionsOf(command))) {
      const withValue = new RegExp(`^\\.(It|Op|Fl) .*Fl -${name} Ns = Ns Ar|^\\.Fl -${name} Ns = Ns Ar`, 'm')
      if (value !== undefined) assert.match(page, withValue, name)
    }
  }
})

test('the manual page names every command', () => {
  for (const { name } of COMMANDS) assert.match(page, new RegExp(`^\\.Cm ${name}$`, 'm'))
})

test('every command prints its help, in lines that fit', () => {
  for (const command of COMMANDS) {
    const { code, out } = uring([command.name, '--help'])
    assert.is(code, 0)
    assert.is(out, `${helpText(command)}\n`)
    assert.match(out, new RegExp(`^Usage: uring ${command.name}`))
    for (const line of out.split('\n').slice(4)) assert.ok(line.length <= 100, line)
    assert.is(uring([command.name, '-h']).out, out)
  }
})

test(
  'the manual page has no mistakes that groff knows of',
  needs({ command: 'groff' }, () => {
    const { stderr, status, stdout } = spawnSync('groff', ['-ww', '-mdoc', '-Tascii', PAGE], {
      encoding: 'utf8',
    })
    assert.is(status, 0)
    assert.is(stderr, '')
    assert.match(stdout, /copy files, apply deltas and diagnose io_uring/)
  }),
)

test.run()
