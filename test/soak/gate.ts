// When the loads work and when they pause: at a quiet point everything is over, and what the process holds can be
// compared with the quiet point before.

export class Gate {
  /** The run is over. */
  isEnding = false
  #opened: Promise<void> | null = null
  #open: () => void = () => {}
  #atWork = 0
  #whenQuiet: (() => void) | null = null

  /** Runs `round` again and again until the end. Rounds that have begun are ended. */
  async repeat(round: () => Promise<void>): Promise<void> {
    while (!this.isEnding) {
      if (this.#opened !== null) {
        await this.#opened
        continue
      }
      this.#atWork++
      try {
        await round()
      } finally {
        this.#atWork--
        if (this.#atWork === 0) this.#whenQuiet?.()
      }
    }
  }

  /** Lets no round begin, and waits for those that have. */
  async pause(): Promise<void> {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve
    })
    if (this.#atWork === 0) return
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
