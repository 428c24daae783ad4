// File systems for tests: one that fills up, one whose files share blocks, and whether temporary files take attributes.
// What `when` of `needs` is to ask comes with each.

import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A mounted file system. */
export interface Disk {
  readonly path: string
  unmount(): void
}

/** Runs `body` in a folder of its own. */
function inNewFolder<T>(body: (folder: string) => T): T {
  const folder = fs.mkdtempSync(join(tmpdir(), 'uring-file-system-'))
  try {
    return body(folder)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

/** Tries a mount. @returns true, or why it cannot be done. */
function trial(what: string, mount: (folder: string) => Disk): true | string {
  return inNewFolder((folder) => {
    try {
      mount(folder).unmount()
      return true
    } catch (error) {
      return `needs ${what}: ${(error as Error).message.trim().split('\n').at(-1)}`
    }
  })
}

function mounted(path: string, ...args: string[]): Disk {
  fs.mkdirSync(path, { recursive: true })
  execFileSync('mount', [...args, path], { stdio: ['ignore', 'ignore', 'pipe'] })
  return {
    path,
    unmount() {
      execFileSync('umount', ['-l', path])
    },
  }
}

/** A file system of `bytes` bytes in `folder`. */
export function smallDisk(folder: string, bytes: number): Disk {
  return mounted(join(folder, 'small-disk'), '-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs')
}

export const hasSmallDisk = (): true | string =>
  trial('mounts of tmpfs', (folder) => smallDisk(folder, 2 ** 20))

/** A file system in `folder` whose files can share blocks. */
export function sharingDisk(folder: string): Disk {
  const image = join(folder, 'btrfs-image')
  fs.writeFileSync(image, '')
  fs.truncateSync(image, 256 * 2 ** 20)
  execFileSync('mkfs.btrfs', ['-q', image], { stdio: ['ignore', 'ignore', 'pipe'] })
  return mounted(join(folder, 'btrfs'), '-o', 'loop', image)
}

export const hasSharingDisk = (): true | string => trial('btrfs on a loop device', sharingDisk)

/** Whether the file system of temporary files has reads and writes past the page cache. */
export const takesDirect = (): true | string =>
  inNewFolder((folder) => {
    try {
      fs.closeSync(fs.openSync(join(folder, 'file'), fs.constants.O_CREAT | fs.constants.O_DIRECT))
      return true
    } catch (error) {
      return `needs temporary files that can be opened with O_DIRECT: ${(error as { code: string }).code}`
    }
  })

/** Whether the file system of temporary files has attributes of the user (tmpfs has since Linux 6.6). */
export const takesAttributes = (): true | string =>
  inNewFolder((folder) => {
    const file = join(folder, 'file')
    fs.writeFileSync(file, '')
    const { status } = spawnSync('setfattr', ['-n', 'user.mine', '-v', 'its value', file])
    return status === 0 || 'needs setfattr, and temporary files that take attributes of the user'
  })
