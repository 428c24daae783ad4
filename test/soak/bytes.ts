// Bytes that tell by themselves where they belong: what is lost, doubled or another stream's does not fit.

const PERIOD = 65_521

/** A stream of bytes that follows from `seed`, and that is looked at from any position on. */
export class Pattern {
  readonly #seed: number

  constructor(seed: number) {
    this.#seed = seed >>> 0
  }

  bytes(start: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length)
    for (let at = 0; at < length; at++) bytes[at] = this.#at(start + at)
    return bytes
  }

  /** @throws Error that names the first byte that is another one. */
  check(start: number, bytes: Uint8Array, where: string): void {
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] !== this.#at(start + at)) {
        throw new Error(`${where}: byte ${start + at} is ${bytes[at]} instead of ${this.#at(start + at)}`)
      }
    }
  }

  #at(position: number): number {
    const mixed = Math.imul(this.#seed + (position % PERIOD) + Math.floor(position / PERIOD), 0x9e3779b1)
    return (mixed ^ (mixed >>> 15)) & 0xff
  }
}
