// How the command line fails: one line, a hint where there is one, and an exit code.

/** Of the library: here all of its arguments come from the command line. */
const WRONG_VALUE: ReadonlySet<string> = new Set([
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_OUT_OF_RANGE',
])

/** The arguments make no sense: exit code 2. */
export class UsageError extends Error {}

/** Part of the work failed. Each failure has been printed already. */
export class PartialFailure extends Error {}

/** The line to print for `error`, without a stack. */
export function failureLine(error: unknown, command = ''): string {
  if (!(error instanceof Error)) return `uring: ${String(error)}`
  const help = command === '' ? 'uring --help' : `uring ${command} --help`
  const hint = exitCodeFor(error) === 2 ? ` (see '${help}')` : ''
  return `uring: ${error.message.split('\n')[0]!.replace(/\.$/, '')}${hint}`
}

/** 2 for a mistake in the arguments, 1 for everything else. */
export function exitCodeFor(error: unknown): number {
  const { code } = (error ?? {}) as { code?: unknown }
  if (typeof code !== 'string') return error instanceof UsageError ? 2 : 1
  return code.startsWith('ERR_PARSE_ARGS') || WRONG_VALUE.has(code) ? 2 : 1
}
