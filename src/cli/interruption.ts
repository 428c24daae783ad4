// SIGINT, SIGTERM and SIGHUP: the command is told to stop and cleans up, and the program ends with the exit
// code that shells expect.

import { constants } from 'node:os'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Listens for the signals that end a program, from the first read of `signal` on. Before that, they end it at
 * once.
 */
export class Interruption {
  readonly #controller = new AbortController()
  #isListening = false
  #received: (typeof SIGNALS)[number] | null = null

  readonly #onSignal = (name: (typeof SIGNALS)[number]): void => {
    // Whoever presses Ctrl-C again does not want to wait any longer. What is unfinished is removed all the same.
    if (this.#received !== null) process.exit(this.exitCode)
    this.#received = name
    this.#controller.abort(new Error(`interrupted by ${name}`))
  }

  /** Aborted by a signal. */
  get signal(): AbortSignal {
    if (!this.#isListening) for (const name of SIGNALS) process.on(name, this.#onSignal)
    this.#isListening = true
    return this.#controller.signal
  }

  /** The signal that has come; null while none has. */
  get received(): string | null {
    return this.#received
  }

  /** 128 and the number of the signal. */
  get exitCode(): number {
    return 128 + constants.signals[this.#received ?? 'SIGINT']
  }

  /** Leaves signals to the system again. */
  stop(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal)
  }
}
