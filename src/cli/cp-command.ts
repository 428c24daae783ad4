// `uring cp`: copies files, and with -r directories.

import { lstat, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { copySettings, textPath } from '../transfer/copy/options.js'
import { copyNamedSymlink, refuseOwnTarget } from '../transfer/copy/symlink.js'
import {
  CopyError,
  type CopyMethod,
  type CopyOptions,
  type CopyProgress,
  type CopyTreeOptions,
  copyFile,
  copyTree,
  type Preserve,
} from '../transfer/index.js'
import { count, paceText, sizeText } from './amounts.js'
import type { Command, Given, Surroundings } from './command.js'
import { PartialFailure, UsageError } from './errors.js'
import { ProgressDisplay } from './progress-display.js'
import { OUTPUT_OPTIONS, RING_OPTIONS, ringJson, sqpollText } from './shared-options.js'

const METHODS = ['reflink', 'copy-file-range', 'ring', 'node'] as const
const PRESERVABLE = ['mode', 'times', 'owner', 'xattrs', 'links', 'all'] as const

export const cpCommand: Command = {
  name: 'cp',
  operands: '[-r] SOURCE… TARGET',
  least: 2,
  most: Number.POSITIVE_INFINITY,
  summary:
    'Copies files, and with -r directories: into TARGET if that is a directory, else to that name. An old target stays as it is until the copy is complete',
  options: {
    recursive: { short: 'r', help: 'copy directories with everything in them' },
    archive: { short: 'a', help: 'as -r --preserve=all' },
    preserve: {
      value: 'LIST',
      help: 'take over mode, times, owner, xattrs, links or all, separated by commas (mode is always among them)',
    },
    dereference: { short: 'L', help: 'copy what symlinks in a directory point to, instead of them' },
    include: {
      value: 'GLOB',
      multiple: true,
      help: 'of a directory, copy only files that match (repeatable)',
    },
    exclude: { value: 'GLOB', multiple: true, help: 'of a directory, leave out what matches (repeatable)' },
    'no-clobber': { short: 'n', help: 'replace nothing: what is there is left out' },
    method: {
      value: 'LIST',
      help: `methods to try, in order, of ${METHODS.join(', ')}: by default all of them`,
    },
    direct: { help: 'read and write past the page cache (O_DIRECT) where the file system can' },
    dense: { help: 'write holes out as zeros' },
    verify: { help: 'read both afterwards and compare their SHA-256' },
    durable: { help: 'have each file on the disk before it takes its place (fsync)' },
    ...RING_OPTIONS,
    'dry-run': { help: 'only say what would be copied' },
    verbose: { short: 'v', help: 'name every entry of a directory' },
    ...OUTPUT_OPTIONS,
  },
  run,
}

/** One source and what it is to become. */
interface Pair {
  readonly source: string
  readonly target: string
  readonly isDirectory: boolean
  readonly isSymlink: boolean
  readonly bytes: number
}

/** The outcome of one pair, for JSON and for the line at the end. */
interface Outcome {
  readonly source: string
  readonly target: string
  readonly [detail: string]: unknown
}

async function run(given: Given, surroundings: Surroundings): Promise<void> {
  const { write, warn, signal } = surroundings
  const options = copyOptions(given, signal)
  const sources = given.operands.slice(0, -1)
  const target = await targetOf(given.operands.at(-1)!, sources.length)
  const isQuiet = given.has('quiet') || given.has('json')
  const outcomes: Outcome[] = []
  const failures: Error[] = []
  /** Targets of this run, but for directories, which are merged. */
  const made = new Set<string>()
  for (const source of sources) {
    const display = new ProgressDisplay(basename(source), !isQuiet && !given.has('dry-run'))
    let lines: readonly string[] = []
    try {
      const pair = await pairOf(source, target, given)
      if (made.has(pair.target)) {
        throw new CopyError(
          'ERR_COPY_KIND',
          'The target was made a moment ago, of another source',
          pair.target,
        )
      }
      if (!pair.isDirectory) made.add(pair.target)
      const onProgress = ({ bytes, totalBytes, entries, totalEntries }: CopyProgress): void => {
        const note = pair.isDirectory ? `${entries} of ${totalEntries} entries` : ''
        display.show({ bytes, totalBytes, note })
      }
      const done = await copyOne(pair, given, { ...options, onProgress }, write)
      outcomes.push(done.outcome)
      failures.push(...done.errors)
      lines = done.lines
    } catch (error) {
      // The other sources are copied all the same.
      if (sources.length === 1 || signal.aborted || !(error instanceof Error)) throw error
      failures.push(error)
    } finally {
      display.end()
    }
    if (!isQuiet) for (const line of lines) write(line)
  }
  if (given.has('json')) {
    const errors = failures.map(({ message }) => message)
    write(JSON.stringify({ copies: outcomes, errors }, null, 2))
  }
  for (const failure of failures) warn(`uring: ${failure.message}`)
  if (failures.length > 0) throw new PartialFailure(`${count(failures.length, 'entry')} could not be copied`)
}

function copyOptions(given: Given, signal: AbortSignal): CopyOptions {
  const depth = given.integer('depth', 1, 256)
  const methods = listOf(given.text('method'), METHODS, 'method')
  const preserve = preserved(given)
  return {
    signal,
    direct: given.has('direct'),
    sparse: !given.has('dense'),
    verify: given.has('verify'),
    durable: given.has('durable'),
    overwrite: !given.has('no-clobber'),
    sqpoll: given.has('sqpoll'),
    preserve,
    ...(depth !== undefined && { depth }),
    ...(methods !== null && { methods: methods as readonly CopyMethod[] }),
  }
}

function preserved(given: Given): boolean | Preserve {
  if (given.has('archive')) return true
  const names = listOf(given.text('preserve'), PRESERVABLE, 'preserve')
  if (names === null) return false
  if (names.includes('all')) return true
  return Object.fromEntries(names.map((name) => [name, true]))
}

function listOf<T extends string>(
  text: string | undefined,
  known: readonly T[],
  option: string,
): readonly T[] | null {
  if (text === undefined) return null
  return text.split(',').map((name) => {
    if (known.includes(name as T)) return name as T
    throw new UsageError(`--${option} takes a list of ${known.join(', ')}, not '${name}'`)
  })
}

/** Where the sources are copied to. */
interface Target {
  readonly path: string
  /** A directory, into which sources go. */
  readonly isInto: boolean
}

async function targetOf(path: string, sources: number): Promise<Target> {
  const old = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
  const isInto = old?.isDirectory() ?? false
  if (sources > 1 && !isInto)
    throw new CopyError('ERR_COPY_KIND', 'The target of several sources is not a directory', path)
  return { path, isInto }
}

async function pairOf(source: string, { path, isInto }: Target, given: Given): Promise<Pair> {
  const isRecursive = given.has('recursive') || given.has('archive')
  const own = await lstat(source)
  // As `cp -r` does: a symlink that is named is copied as one; without -r, or with -L, what it points to is.
  const keepsLinks = isRecursive && !given.has('dereference')
  const isSymlink = keepsLinks && own.isSymbolicLink()
  const seen = isSymlink ? own : await stat(source)
  if (seen.isDirectory() && !isRecursive) {
    throw new CopyError('ERR_COPY_KIND', 'The source is a directory, which -r copies', source)
  }
  const name = basename(source)
  return {
    source,
    // As `cp` does: the content of a source `a/..` goes into the target itself, not into its parent.
    target: isInto && name !== '..' ? join(path, name) : path,
    isDirectory: seen.isDirectory(),
    isSymlink,
    bytes: seen.size,
  }
}

interface Done {
  readonly outcome: Outcome
  readonly lines: string[]
  readonly errors: readonly Error[]
}

function copyOne(
  pair: Pair,
  given: Given,
  options: CopyOptions,
  write: (line: string) => void,
): Promise<Done> {
  if (pair.isSymlink) return copyLink(pair, given, options)
  return pair.isDirectory ? copyDirectory(pair, given, options, write) : copyRegular(pair, given, options)
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null)) !== null
}

function leftOut(source: string, target: string): Done {
  const lines = [`'${source}' -> '${target}': left out, it is there`]
  return { outcome: { source, target, skipped: 1 }, lines, errors: [] }
}

async function copyRegular(
  { source, target, bytes }: Pair,
  given: Given,
  options: CopyOptions,
): Promise<Done> {
  if (given.has('no-clobber') && (await isThere(target))) return leftOut(source, target)
  if (given.has('dry-run')) {
    const line = `'${source}' -> '${target}': ${sizeText(bytes)}`
    return { outcome: { source, target, bytes, dryRun: true }, lines: [line], errors: [] }
  }
  const { ring, ...result } = await copyFile(source, target, options)
  const how = [result.method]
  if (result.directSource || result.directTarget) how.push('O_DIRECT' as CopyMethod)
  const lines = [
    `'${source}' -> '${target}': ${sizeText(result.bytes)} ${paceText(result.bytes, result.milliseconds)}, by ${how.join(', ')}`,
  ]
  if (result.hash !== null) lines.push(`  verified: sha256 ${result.hash}`)
  if (options.sqpoll && ring !== null) lines.push(`  ${sqpollText(ring)}`)
  return { outcome: { source, target, ...result, ring: ringJson(ring) }, lines, errors: [] }
}

async function copyDirectory(
  { source, target }: Pair,
  given: Given,
  options: CopyOptions,
  write: (line: string) => void,
): Promise<Done> {
  const tree: CopyTreeOptions = {
    ...options,
    errors: 'collect',
    dereference: given.has('dereference'),
    dryRun: given.has('dry-run'),
    ...(given.has('include') && { include: given.list('include') }),
    ...(given.has('exclude') && { exclude: given.list('exclude') }),
  }
  const isListed = (given.has('verbose') || given.has('dry-run')) && !given.has('json') && !given.has('quiet')
  const onEntry = (path: string): void => write(`'${join(source, path)}' -> '${join(target, path)}'`)
  const result = await copyTree(source, target, { ...tree, ...(isListed && { onEntry }) })
  const { ring, errors, ...counts } = result
  const parts = [count(counts.files, 'file'), count(counts.directories, 'directory')]
  if (counts.symlinks > 0) parts.push(count(counts.symlinks, 'symlink'))
  if (counts.hardLinks > 0) parts.push(count(counts.hardLinks, 'hard link'))
  if (counts.specials > 0) parts.push(count(counts.specials, 'special file'))
  if (counts.skipped > 0) parts.push(`${counts.skipped} left out`)
  const lines = [
    `'${source}' -> '${target}': ${parts.join(', ')}; ${sizeText(counts.bytes)} ${paceText(counts.bytes, counts.milliseconds)}`,
  ]
  if (options.sqpoll && ring !== null) lines.push(`  ${sqpollText(ring)}`)
  const outcome = {
    source,
    target,
    ...counts,
    dryRun: given.has('dry-run'),
    errors: errors.map(({ message }) => message),
    ring: ringJson(ring),
  }
  return { outcome, lines, errors }
}

async function copyLink({ source, target }: Pair, given: Given, options: CopyOptions): Promise<Done> {
  const outcome = { source, target, symlinks: 1 }
  const lines = [`'${source}' -> '${target}': a symlink`]
  if (given.has('no-clobber') && (await isThere(target))) return leftOut(source, target)
  const [from, to] = [textPath('source', source).latin1, textPath('target', target).latin1]
  if (given.has('dry-run')) {
    await refuseOwnTarget(from, to)
    return { outcome: { ...outcome, dryRun: true }, lines, errors: [] }
  }
  const isCopied = await copyNamedSymlink(from, to, copySettings(options))
  return isCopied ? { outcome, lines, errors: [] } : leftOut(source, target)
}
