// `uring doctor` and `uring demo`.

import type { Command } from './command.js'
import { demo } from './demo.js'
import { diagnose, printDoctor } from './doctor.js'

export const doctorCommand: Command = {
  name: 'doctor',
  operands: '',
  least: 0,
  most: 0,
  summary: 'Says what this machine offers: kernel, features, opcodes, SQPOLL, and why not more',
  options: { json: { help: 'print one JSON object' } },
  run(given, { write }) {
    if (given.has('json')) write(JSON.stringify(diagnose(), null, 2))
    else printDoctor(write)
  },
}

export const demoCommand: Command = {
  name: 'demo',
  operands: '[FILE]',
  least: 0,
  most: 1,
  summary:
    'Runs doctor, then copies FILE (by default the running Node) through a ring and verifies it, then again with SQPOLL asked for beside a mapped basis',
  options: {},
  run(given, { write, signal }) {
    return demo({ source: given.operands[0], write, signal })
  },
}
