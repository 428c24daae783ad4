// The state of one copy of a tree: what was found, what is in progress, what has been counted, what went
// wrong. It knows when everything is done, and tells the others to stop when something has failed.

import { AbortError } from '../../runtime/index.js'
import type { CopyMethod } from './job.js'
import type { CopySettings } from './options.js'
import type { ProgressMeter } from './progress.js'
import type { CopySession } from './session.js'
import type { FileStat } from './stat.js'
import type { EntryChoice, EntryKind } from './tree-filter.js'

/**
 * A directory in the tree. Paths are latin1 text (one character for each byte), without a `/` at their end.
 */
export interface Folder {
  readonly source: string
  readonly target: string
  /** Relative to the root, with a `/` at its end; the root's is empty. */
  readonly relative: string
  readonly stat: FileStat
  readonly parent: Folder | null
  /** Names that the target has already; null within a new tree, which nobody else sees. */
  existing: ReadonlySet<string> | null
  /**
   * The directory has a default ACL, from which new files take their permissions instead of from the umask.
   */
  hasAcl: boolean
  /** Set when the target is there, or is being made. */
  made: Promise<void> | null
}

/** One entry of a directory. */
export interface Entry {
  readonly folder: Folder
  /** As latin1 text: one character for each byte. */
  readonly name: string
}

export interface TreeCounts {
  files: number
  directories: number
  symlinks: number
  hardLinks: number
  specials: number
  skipped: number
  bytes: number
  holeBytes: number
  readonly methods: Record<CopyMethod, number>
}

export interface TreeSettings extends CopySettings {
  readonly choice: EntryChoice
  readonly dereference: boolean
  readonly collect: boolean
  readonly dryRun: boolean
  readonly filesInFlight: number
  readonly onEntry: ((path: string, kind: EntryKind) => void) | undefined
}

/** @internal */
export class TreeWork {
  readonly settings: TreeSettings
  readonly session: CopySession
  readonly meter: ProgressMeter
  readonly umask: number
  readonly counts: TreeCounts = {
    files: 0,
    directories: 0,
    symlinks: 0,
    hardLinks: 0,
    specials: 0,
    skipped: 0,
    bytes: 0,
    holeBytes: 0,
    methods: { reflink: 0, 'copy-file-range': 0, ring: 0, node: 0 },
  }
  readonly errors: Error[] = []
  /**
   * Directories whose attributes are set when nothing is written any more, parents before what is in them.
   */
  readonly folders: Folder[] = []
  /** Identity of the target's root; null while nothing is made. */
  target: string | null = null
  /** The most files that were in progress at once. */
  peakInFlight = 0
  #pending = 0
  #failure: { readonly error: unknown } | null = null
  #finish: () => void = () => {}
  readonly #onStop: (() => void)[] = []
  /** Made once: files come by the thousand. */
  readonly #tick = (): void => this.meter.tick()
  readonly #abort = (): void => {
    this.stop(new AbortError(this.settings.signal?.reason))
  }

  constructor(settings: TreeSettings, session: CopySession, meter: ProgressMeter, umask: number) {
    this.settings = settings
    this.session = session
    this.meter = meter
    this.umask = umask
  }

  /** Nothing more is to be begun. */
  get stopping(): boolean {
    return this.#failure !== null
  }

  /** Runs `begin`, and resolves when everything that was begun has ended. Rejects with what stopped it. */
  async run(begin: () => void): Promise<void> {
    const { signal } = this.settings
    signal?.addEventListener('abort', this.#abort, { once: true })
    if (signal?.aborted) this.#abort()
    try {
      await new Promise<void>((resolve) => {
        this.#finish = resolve
        this.begun()
        begin()
        this.ended()
      })
    } finally {
      signal?.removeEventListener('abort', this.#abort)
    }
    if (this.#failure !== null) throw this.#failure.error
  }

  /** Something has begun, for which `ended` will be called. */
  begun(): void {
    this.#pending++
  }

  ended(): void {
    if (--this.#pending === 0) this.#finish()
  }

  /** Begins an asynchronous part of the work. What it rejects with is an entry's failure. */
  start(part: () => Promise<void>): void {
    this.begun()
    part()
      .catch((error) => this.failed(error))
      .then(() => this.ended())
  }

  /** An entry could not be copied. */
  failed(error: unknown): void {
    // What fails after a stop fails because of it.
    if (this.stopping) return
    const { code } = error as { code?: unknown }
    const isOfAnEntry = error instanceof Error && code !== 'ABORT_ERR'
    if (this.settings.collect && isOfAnEntry && typeof code === 'string' && code !== 'ENOSPC') {
      this.errors.push(error)
      this.entryDone()
    } else this.stop(error)
  }

  /** Ends the copy: what is in progress comes to its end, nothing else begins. */
  stop(error: unknown): void {
    if (this.#failure !== null) return
    this.#failure = { error }
    for (const tell of this.#onStop) tell()
  }

  /** Has `tell` called when the copy is stopped. */
  onStop(tell: () => void): void {
    this.#onStop.push(tell)
  }

  found(bytes: number): void {
    this.meter.totalBytes += bytes
  }

  /** An entry is done. What the user's callback throws stops the copy. */
  entryDone(): void {
    this.meter.entries++
    this.tell(this.#tick)
  }

  readonly addBytes = (count: number): void => {
    this.counts.bytes += count
    this.meter.bytes += count
    this.tell(this.#tick)
  }

  /** Calls the user's callback. */
  tell(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.stop(error)
    }
  }
}

export function sourceOf({ folder, name }: Entry): string {
  return `${folder.source}/${name}`
}

export function targetOf({ folder, name }: Entry): string {
  return `${folder.target}/${name}`
}
