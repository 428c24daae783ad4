// Applies a delta that comes as tokens: literal bytes, and references to blocks or ranges of a basis.

import type { PathLike } from '../runtime/index.js'
import { checkInteger, checkMembers, invalidType, invalidValue } from '../syscalls/argument-errors.js'
import { type Basis, type BasisReport, checkWriter } from './basis.js'
import type { OutputAssembler } from './output-assembler.js'
import { TransferError } from './transfer-errors.js'
import {
  APPLY_WISHES,
  type ApplyWishes,
  checkWishes,
  chooseData,
  type WrittenOutput,
  writeOutput,
} from './write-output.js'

/** One piece of the output. */
export type DeltaToken =
  /** Bytes. They are copied before the next token is asked for. */
  | { readonly type: 'literal'; readonly data: Uint8Array }
  /** `count` blocks (default 1) of the basis; the last block of a basis may be short. Needs `blockBytes`. */
  | { readonly type: 'block'; readonly index: number; readonly count?: number }
  /** Any range of the basis, in bytes. */
  | { readonly type: 'range'; readonly offset: number; readonly length: number }

/** What `applyDelta` takes. */
export interface ApplyDeltaOptions extends ApplyWishes {
  /** Bytes of one block, for tokens that refer to blocks. */
  readonly blockBytes?: number | undefined
}

/** What a delta consisted of. */
export interface DeltaCounts {
  /** Bytes that came with the delta. */
  readonly literalBytes: number
  /** Bytes that came from the basis. */
  readonly matchedBytes: number
  readonly literalTokens: number
  readonly blockTokens: number
}

/** What `applyDelta` resolves to. */
export interface ApplyDeltaResult extends WrittenOutput, DeltaCounts {
  readonly basis: BasisReport | null
}

const MAX_BLOCK_BYTES = 2 ** 31 - 1

/**
 * Builds the output from the tokens in a temporary file beside `output`, and renames that into place when it
 * is complete. Tokens may refer only to the basis as it was when it was opened. The basis stays open.
 *
 * Rejects, with the old output as it was, with TransferError `ERR_BASIS_RANGE` for a reference without a
 * basis or past its end (the message says which block), `ERR_BASIS_CHANGED` when the basis shrank or was
 * written to meanwhile, `ERR_TARGET_IS_SOURCE`, `ERR_DIGEST_MISMATCH`, `ERR_OUTPUT_TOO_LARGE`; with what
 * `tokens` throws; AbortError; SystemError: ENOSPC, EISDIR, EACCES, …
 *
 * @param basis - From `openBasis`; null for a delta without references.
 * @throws (rejects) TypeError, RangeError for bad options and tokens.
 */
export async function applyDelta(
  basis: Basis | null,
  tokens: Iterable<DeltaToken> | AsyncIterable<DeltaToken>,
  output: PathLike,
  options: ApplyDeltaOptions = {},
): Promise<ApplyDeltaResult> {
  checkMembers('options', options, [...APPLY_WISHES, 'blockBytes'])
  checkWishes(options)
  const { writer = basis?.report.writer ?? 'ring', blockBytes } = options
  checkWriter('options.writer', writer)
  if (blockBytes !== undefined) checkInteger('options.blockBytes', blockBytes, 1, MAX_BLOCK_BYTES)
  const data = chooseData(options.uring, writer)
  basis?.readBy(data)
  const counter = new TokenReader(basis, blockBytes)
  const job = {
    output,
    wishes: { ...options, writer },
    basis,
    data,
    sources: basis === null ? [] : [{ role: 'basis', dev: basis.file.dev, ino: basis.file.ino }],
    pinnedRing: null,
  }
  try {
    const written = await writeOutput(job, async (assembler) => {
      await counter.takeAll(tokens, assembler)
    })
    return { ...written, ...counter.counts(), basis: basis?.report ?? null }
  } catch (error) {
    if (error instanceof TransferError && error.offset !== undefined && blockBytes !== undefined) {
      error.message += ` (block ${Math.floor(error.offset / blockBytes)})`
    }
    throw error
  }
}

/** Checks tokens, joins references that follow each other, and counts. */
class TokenReader {
  readonly #basis: Basis | null
  readonly #blockBytes: number | undefined
  #literalBytes = 0
  #matchedBytes = 0
  #literalTokens = 0
  #blockTokens = 0
  /** The range of joined references that is not passed on yet. */
  #offset = 0
  #length = 0

  constructor(basis: Basis | null, blockBytes: number | undefined) {
    this.#basis = basis
    this.#blockBytes = blockBytes
  }

  counts(): DeltaCounts {
    return {
      literalBytes: this.#literalBytes,
      matchedBytes: this.#matchedBytes,
      literalTokens: this.#literalTokens,
      blockTokens: this.#blockTokens,
    }
  }

  async takeAll(
    tokens: Iterable<DeltaToken> | AsyncIterable<DeltaToken>,
    assembler: OutputAssembler,
  ): Promise<void> {
    if (Symbol.asyncIterator in tokens) {
      for await (const token of tokens) await this.#take(token, assembler)
    } else {
      // Most tokens wait for nothing: a turn of the microtask queue for each would cost more than the token.
      for (const token of tokens) {
        const waiting = this.#take(token, assembler)
        if (waiting !== undefined) await waiting
      }
    }
    await this.#flush(assembler)
  }

  #take(token: DeltaToken, assembler: OutputAssembler): Promise<void> | undefined {
    switch (token?.type) {
      case 'literal': {
        const { data } = token
        if (!(data instanceof Uint8Array)) throw invalidType('token.data', 'an instance of Uint8Array', data)
        this.#literalTokens++
        this.#literalBytes += data.byteLength
        const waiting = this.#flush(assembler)
        return waiting === undefined ? assembler.literal(data) : waiting.then(() => assembler.literal(data))
      }
      case 'block': {
        const [offset, length] = this.#blocks(token.index, token.count ?? 1)
        return this.#refer(offset, length, assembler)
      }
      case 'range': {
        const { offset, length } = token
        checkInteger('token.offset', offset, 0, Number.MAX_SAFE_INTEGER)
        checkInteger('token.length', length, 0, Number.MAX_SAFE_INTEGER)
        this.#need(`The range of ${length} bytes at ${offset}`).file.checkRange(offset, length)
        return this.#refer(offset, length, assembler)
      }
      default:
        throw invalidValue('token', token, "must have a type of 'literal', 'block' or 'range'")
    }
  }

  #flush(assembler: OutputAssembler): Promise<void> | undefined {
    const length = this.#length
    if (length === 0) return undefined
    this.#length = 0
    return assembler.range(this.#offset, length)
  }

  #refer(offset: number, length: number, assembler: OutputAssembler): Promise<void> | undefined {
    this.#blockTokens++
    this.#matchedBytes += length
    if (this.#length > 0 && this.#offset + this.#length === offset) {
      this.#length += length
      return undefined
    }
    const waiting = this.#flush(assembler)
    this.#offset = offset
    this.#length = length
    return waiting
  }

  /** The range of the basis that these blocks cover. */
  #blocks(index: number, count: number): readonly [offset: number, length: number] {
    checkInteger('token.index', index, 0, Number.MAX_SAFE_INTEGER)
    checkInteger('token.count', count, 1, Number.MAX_SAFE_INTEGER)
    const bytes = this.#blockBytes
    if (bytes === undefined)
      throw invalidValue('options.blockBytes', bytes, 'is needed by tokens that refer to blocks')
    const { size, path } = this.#need(`Block ${index}`)
    const blocks = Math.ceil(size / bytes)
    if (index + count > blocks) {
      const which = count === 1 ? `Block ${index}` : `Block ${Math.max(index, blocks)}`
      const text = `${which} is referred to, of ${blocks} in the basis: requested range extends past end of file`
      throw new TransferError('ERR_BASIS_RANGE', text, { path })
    }
    const offset = index * bytes
    return [offset, Math.min(count * bytes, size - offset)]
  }

  #need(what: string): Basis {
    if (this.#basis !== null) return this.#basis
    throw new TransferError('ERR_BASIS_RANGE', `${what} is referred to, but there is no basis`)
  }
}
