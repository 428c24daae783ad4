// Amounts for a person to read.

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const

/** `'12 bytes'`, `'3.4 MiB'`. */
export function sizeText(bytes: number): string {
  const whole = Math.round(bytes)
  if (whole < 1024) return count(whole, 'byte')
  let value = bytes / 1024
  let unit = 0
  // What would be shown as 1024 of a unit is 1 of the next.
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`
}

/** `'1 file'`, `'2 files'`. */
export function count(number: number, word: string): string {
  if (number === 1) return `1 ${word}`
  return word.endsWith('y') ? `${number} ${word.slice(0, -1)}ies` : `${number} ${word}s`
}

/** `'in 12 ms, 1.3 GiB/s'`. */
export function paceText(bytes: number, milliseconds: number): string {
  const time =
    milliseconds < 10_000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
  if (bytes === 0 || milliseconds === 0) return `in ${time}`
  return `in ${time}, ${sizeText((bytes / milliseconds) * 1000)}/s`
}
