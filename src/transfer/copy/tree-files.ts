// The queue of a tree's files that wait to be copied, and a bound on how many parts run at a time. Copiers
// fetch from the queue; while it is full, no more directories are read.

import type { Entry, Folder, TreeWork } from './tree-work.js'

/** While the files of this many directories wait, no more directories are read. */
const MAX_BATCHES = 8

interface Batch {
  readonly folder: Folder
  readonly names: readonly string[]
  at: number
}

/** @internal */
export class FileQueue {
  readonly #work: TreeWork
  readonly #batches: Batch[] = []
  #turn = 0
  #wake: (() => void)[] = []
  /** Called when there are files to fetch. */
  onFiles: () => void = () => {}

  constructor(work: TreeWork) {
    this.#work = work
    work.onStop(() => this.#drop())
  }

  /** Adds the files of a directory. */
  add(folder: Folder, names: readonly string[]): void {
    if (names.length === 0 || this.#work.stopping) return
    for (const _ of names) this.#work.begun()
    this.#batches.push({ folder, names, at: 0 })
    this.onFiles()
  }

  get hasFiles(): boolean {
    return this.#batches.length > 0
  }

  /** Resolves when another directory may be read. */
  async room(): Promise<void> {
    while (this.#batches.length >= MAX_BATCHES && !this.#work.stopping) {
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  /**
   * The next file, for which `TreeWork.ended` is to be called; null when there is none at the moment.
   * Directories take turns, because creations in one directory wait for each other.
   */
  next(): Entry | null {
    const batches = this.#batches
    if (batches.length === 0) return null
    this.#turn = (this.#turn + 1) % batches.length
    const batch = batches[this.#turn]!
    const name = batch.names[batch.at++]!
    if (batch.at === batch.names.length) {
      batches.splice(this.#turn, 1)
      this.#wakeAll()
    }
    return { folder: batch.folder, name }
  }

  #drop(): void {
    for (const { names, at } of this.#batches.splice(0)) {
      for (let index = at; index < names.length; index++) this.#work.ended()
    }
    this.#wakeAll()
  }

  #wakeAll(): void {
    const waiting = this.#wake
    this.#wake = []
    for (const wake of waiting) wake()
  }
}

/** At most so many run at a time; the others wait in order. */
export class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#free = places
  }

  async through<T>(part: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await part()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
