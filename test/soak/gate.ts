// When the loads work and when they pause: at a quiet point everything is over, and what the process holds can be
// compared with the quiet point before.

export class Gate {
  /** The run is over. */
  isEnding = false
  #opened: Promise<void> | null = null
  #open: () => void = () => {}
  /** The names of the loads with a round under way. */
  readonly atWork = new Set<string>()
  #whenQuiet: (() => void) | null = null

  /** Runs `round` of the load `name` again and again until the end. Rounds that have begun are ended. */
  async repeat(name: string, round: () => Promise<void>): Promise<void> {
    while (!this.isEnding) {
      if (this.#opened !== null) {
        await this.#opened
        continue
      }
      this.atWork.add(name)
      try {
        await round()
      } finally {
        this.atWork.delete(name)
        if (this.atWork.size === 0) this.#whenQuiet?.()
      }
    }
  }

  /** Lets no round begin, and waits for those that have. */
  async pause(): Promise<void> {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve
    })
    if (this.atWork.size === 0) return
    await new Promise<void>((resolve) => {
      this.#whenQuiet = resolve
    })
    this.#whenQuiet = null
  }

  resume(): void {
    this.#opened = null
    this.#open()
  }

  end(): void {
    this.isEnding = true
    this.resume()
  }
}
