// The archive format of an initramfs: cpio "newc", as far as a kernel needs it.

/** A file, folder or device of an archive. */
export interface CpioEntry {
  readonly path: string
  /** File type and permissions, as in struct stat. */
  readonly mode: number
  readonly content?: Uint8Array
  /** Major and minor number of a device. */
  readonly device?: readonly [number, number]
}

export const FOLDER = 0o040755
export const PROGRAM = 0o100755
export const CHARACTER_DEVICE = 0o020600

const hex = (value: number): string => value.toString(16).padStart(8, '0')

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4)
}

function record(entry: CpioEntry, inode: number): Uint8Array[] {
  const name = Buffer.from(`${entry.path}\0`)
  const content = entry.content ?? new Uint8Array(0)
  const [major, minor] = entry.device ?? [0, 0]
  const numbers = [inode, entry.mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, name.length, 0]
  const head = Buffer.from(`070701${numbers.map(hex).join('')}`)
  return [head, name, padding(head.length + name.length), content, padding(content.length)]
}

/** The archive of these entries; a folder must come before what is in it. */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const all = [...entries, { path: 'TRAILER!!!', mode: 0 }]
  return Buffer.concat(all.flatMap((entry, index) => record(entry, index + 1)))
}
