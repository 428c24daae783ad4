// Every command of the program.

import { benchCommand } from './bench-command.js'
import type { Command } from './command.js'
import { cpCommand } from './cp-command.js'
import { deltaCommand, patchCommand, signatureCommand } from './delta-commands.js'
import { demoCommand, doctorCommand } from './machine-commands.js'

export const COMMANDS: readonly Command[] = [
  cpCommand,
  patchCommand,
  signatureCommand,
  deltaCommand,
  doctorCommand,
  benchCommand,
  demoCommand,
]
