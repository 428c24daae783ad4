// File systems for tests: mounted ones, and what the one of temporary files can do. What `when` of `needs` is to ask comes
// with each.

import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const { O_CREAT, O_DIRECT, O_RDWR } = fs.constants

/** A mounted file system, unmounted when it is disposed of. */
export interface Disk extends Disposable {
  readonly path: string
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
      using _ = mount(folder)
      return true
    } catch (error) {
      return `needs ${what}: ${(error as Error).message.trim().split('\n').at(-1)}`
    }
  })
}

/** Mounts a file system at `path`, which is made. @param args - Those of mount(8) before the path. */
export function mountDisk(path: string, ...args: string[]): Disk {
  fs.mkdirSync(path, { recursive: true })
  execFileSync('mount', [...args, path], { stdio: ['ignore', 'ignore', 'pipe'] })
  return {
    path,
    [Symbol.dispose]() {
      execFileSync('umount', ['-l', path])
    },
  }
}

/** A file system of `bytes` bytes in `folder`. */
export function smallDisk(folder: string, bytes: number): Disk {
  return mountDisk(join(folder, 'small-disk'), '-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs')
}

export const hasSmallDisk = (): true | string =>
  trial('mounts of tmpfs', (folder) => smallDisk(folder, 2 ** 20))

/** A file system in `folder` that has its page cache alone, and no O_DIRECT. */
export function cachedDisk(folder: string): Disk {
  return mountDisk(join(folder, 'cached-disk'), '-t', 'ramfs', 'ramfs')
}

export const hasCachedDisk = (): true | string => trial('mounts of ramfs', cachedDisk)

/** A file system in a file in `folder`. @param make - The command that makes it there. */
function imageDisk(folder: string, bytes: number, ...make: [string, ...string[]]): Disk {
  const image = join(folder, 'image')
  fs.writeFileSync(image, '')
  fs.truncateSync(image, bytes)
  const [command, ...args] = make
  execFileSync(command, [...args, image], { stdio: ['ignore', 'ignore', 'pipe'] })
  return mountDisk(join(folder, 'disk'), '-o', 'loop', image)
}

/** Two file systems in `folder` whose files can share blocks. */
export const btrfsDisk = (folder: string): Disk => imageDisk(folder, 256 * 2 ** 20, 'mkfs.btrfs', '-q')
export const xfsDisk = (folder: string): Disk =>
  imageDisk(folder, 400 * 2 ** 20, 'mkfs.xfs', '-q', '-m', 'reflink=1')

export const hasBtrfsDisk = (): true | string => trial('btrfs on a loop device', btrfsDisk)
export const hasXfsDisk = (): true | string => trial('XFS on a loop device', xfsDisk)

/** Whether the file system of temporary files has reads and writes past the page cache. */
export const takesDirect = (): true | string =>
  inNewFolder((folder) => {
    try {
      fs.closeSync(fs.openSync(join(folder, 'file'), O_CREAT | O_RDWR | O_DIRECT))
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
