// Opens a basis, the file that a delta refers to, with one of two readers: one reads through a buffer, the
// other maps the file.

import type { PathLike } from '../runtime/index.js'
import { checkMembers, invalidType, invalidValue } from '../syscalls/argument-errors.js'
import { BasisFile } from './basis-file.js'
import { BufferedBasis } from './buffered-basis.js'
import { MappedBasis } from './mapped-basis.js'
import { pathOf } from './output-file.js'

/** Files from this size up are mapped by the strategy 'auto', in bytes. */
export const MMAP_THRESHOLD_BYTES = 1048576

/** Which reader is wanted. */
export type BasisStrategy = 'auto' | 'mmap' | 'buffered'

/** What writes the output: a ring, or write(2) on the threads of Node's pool. */
export type TransferWriter = 'ring' | 'standard'

/** Why a reader was chosen. */
export type BasisReason =
  /** The strategy names it. */
  | 'asked-for'
  /** A ring writes, and its data must be on the heap, whatever was asked for. */
  | 'ring-writer'
  /** 1 MiB or larger. */
  | 'large-file'
  | 'small-file'
  /** There is nothing to map. */
  | 'empty-file'
  /** The kernel would not map it: `errno` and `code` tell why. */
  | 'mapping-refused'

/** Which reader a basis has, and why. */
export interface BasisReport {
  readonly kind: 'buffered' | 'mapped'
  readonly reason: BasisReason
  readonly strategy: BasisStrategy
  readonly writer: TransferWriter
  /** Bytes when it was opened. Later changes of the size are not followed. */
  readonly size: number
  readonly errno?: number
  readonly code?: string
}

/** What `openBasis` takes. */
export interface BasisOptions {
  /** Default 'auto'. */
  readonly strategy?: BasisStrategy | undefined
  /** Default 'ring'. */
  readonly writer?: TransferWriter | undefined
}

/** A basis that is open. */
export type Basis = BufferedBasis | MappedBasis

const STRATEGIES: readonly unknown[] = ['auto', 'mmap', 'buffered']
const WRITERS: readonly unknown[] = ['ring', 'standard']

/** @internal */
export function checkStrategy(name: string, strategy: unknown): void {
  if (typeof strategy !== 'string') throw invalidType(name, 'of type string', strategy)
  if (STRATEGIES.includes(strategy)) return
  throw invalidValue(name, strategy, "must be one of: 'auto', 'mmap', 'buffered'")
}

/** @internal */
export function checkWriter(name: string, writer: unknown): void {
  if (typeof writer !== 'string') throw invalidType(name, 'of type string', writer)
  if (!WRITERS.includes(writer)) throw invalidValue(name, writer, "must be one of: 'ring', 'standard'")
}

/** Which reader a file of that size gets. Pure. */
export function selectReader(
  strategy: BasisStrategy,
  writer: TransferWriter,
  size: number,
): Pick<BasisReport, 'kind' | 'reason'> {
  if (strategy === 'buffered') return { kind: 'buffered', reason: 'asked-for' }
  if (writer === 'ring') return { kind: 'buffered', reason: 'ring-writer' }
  if (size === 0) return { kind: 'buffered', reason: 'empty-file' }
  if (strategy === 'mmap') return { kind: 'mapped', reason: 'asked-for' }
  return size >= MMAP_THRESHOLD_BYTES
    ? { kind: 'mapped', reason: 'large-file' }
    : { kind: 'buffered', reason: 'small-file' }
}

/**
 * Opens a basis. The writer 'ring' forces the buffered reader; with 'standard', 'auto' maps files from 1 MiB
 * up. A file that cannot be mapped is read through a buffer, and `report` says so.
 *
 * @throws TypeError for bad options; SystemError `open`: ENOENT, EACCES, EISDIR; EINVAL for what is no
 *   regular file.
 */
export async function openBasis(path: PathLike, options: BasisOptions = {}): Promise<Basis> {
  checkMembers('options', options, ['strategy', 'writer'])
  const { strategy = 'auto', writer = 'ring' } = options
  checkStrategy('options.strategy', strategy)
  checkWriter('options.writer', writer)
  const file = await BasisFile.open(pathOf(path))
  const { size } = file
  const wanted = selectReader(strategy, writer, size)
  const report: BasisReport = { ...wanted, strategy, writer, size }
  if (wanted.kind === 'buffered') return new BufferedBasis(file, report)
  try {
    return new MappedBasis(file, report)
  } catch (error) {
    const { errno, code } = error as NodeJS.ErrnoException
    const why = { ...(errno !== undefined && { errno }), ...(code !== undefined && { code }) }
    return new BufferedBasis(file, { ...report, kind: 'buffered', reason: 'mapping-refused', ...why })
  }
}
