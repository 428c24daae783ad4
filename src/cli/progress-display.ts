// Shows how far a command has come: a bar on a terminal, nothing elsewhere but the plain line at the end.

import type { SingleBar } from 'cli-progress'
import { sizeText } from './amounts.js'

/** What is to be shown. */
export interface Amounts {
  readonly bytes: number
  /** 0 when unknown. */
  readonly totalBytes: number
  /** What else there is to say: `12 of 40 files`. */
  readonly note: string
}

/** @internal */
export class ProgressDisplay {
  #bar: SingleBar | null = null
  #last: Amounts | null = null
  #ended = false

  /** @param wanted - False for `--quiet` and `--json`. Without a terminal nothing is shown either. */
  constructor(label: string, wanted: boolean) {
    if (!wanted || !process.stderr.isTTY) return
    // Loaded only when a bar is shown.
    void import('cli-progress').then(({ default: progress }) => {
      if (this.#ended) return
      const bar = new progress.SingleBar(
        {
          format: `${label} [{bar}] {percentage}% {done} {note}`,
          stream: process.stderr,
          hideCursor: true,
          clearOnComplete: true,
          barsize: 24,
          fps: 10,
        },
        progress.Presets.legacy,
      )
      this.#bar = bar
      bar.start(1, 0, { done: '', note: '' })
      if (this.#last !== null) this.show(this.#last)
    })
  }

  show(amounts: Amounts): void {
    this.#last = amounts
    const { bytes, totalBytes, note } = amounts
    this.#bar?.setTotal(Math.max(totalBytes, bytes, 1))
    this.#bar?.update(bytes, { done: sizeText(bytes), note })
  }

  /** Takes the bar away. */
  end(): void {
    this.#ended = true
    this.#bar?.stop()
    this.#bar = null
  }
}
