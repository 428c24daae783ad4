// How the command line fails: one line, a hint where there is one, and an exit code.

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
  const parseArgs = typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS')
  return error instanceof UsageError || parseArgs ? 2 : 1
}
