// Paths as latin1 text, one character for each byte: names need not be UTF-8.

/** The UTF-8 text of a path in latin1. */
export function textOf(latin1: string): string {
  // Names are ASCII as a rule, which reads the same.
  for (let at = 0; at < latin1.length; at++) {
    if (latin1.charCodeAt(at) > 127) return Buffer.from(latin1, 'latin1').toString()
  }
  return latin1
}

/** A path in latin1 as node:fs takes it. */
export function bytesOf(latin1: string): Buffer {
  return Buffer.from(latin1, 'latin1')
}
