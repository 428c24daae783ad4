// Notices when a connection has been idle for too long. HTTP servers start and stop such a timer with every
// request, so it keeps one timer, which may fire without effect, instead of making and clearing one each time.

/** Is told of the idle time. */
export interface IdleListener {
  /** Nothing has happened for as long as was asked for. */
  onIdle(): void
}

/** One per connection. It does not keep the process alive. */
export class IdleTimer {
  readonly #listener: IdleListener
  #timer: NodeJS.Timeout | null = null
  /** What `#timer` was made with. */
  #timerMs = 0
  #isRunning = false
  #amount = 0

  constructor(listener: IdleListener) {
    this.#listener = listener
  }

  /** @param milliseconds - Above 0. */
  start(milliseconds: number): void {
    if (this.#timer !== null && this.#timerMs === milliseconds) this.#timer.refresh()
    else {
      this.close()
      this.#timerMs = milliseconds
      this.#timer = setTimeout(onTimer, milliseconds, this).unref()
    }
    this.#isRunning = true
  }

  /** Starts the time again, if it runs. */
  refresh(): void {
    if (this.#isRunning) this.#timer!.refresh()
  }

  stop(): void {
    this.#isRunning = false
  }

  /** Stops, and clears the timer, which would keep the connection in memory. */
  close(): void {
    this.#isRunning = false
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** Whether an amount differs from what it was at the last call. */
  hasMoved(amount: number): boolean {
    const moved = amount !== this.#amount
    this.#amount = amount
    return moved
  }

  /** @internal */
  fire(): void {
    if (this.#isRunning) this.#listener.onIdle()
  }
}

function onTimer(timer: IdleTimer): void {
  timer.fire()
}
