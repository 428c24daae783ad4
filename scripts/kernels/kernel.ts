// A Debian kernel made bootable: its image, and an initramfs with the modules that the guest's disks need.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { run } from './commands.js'
import { CHARACTER_DEVICE, type CpioEntry, cpio, FOLDER, PROGRAM } from './cpio.js'
import { type DebianArchitecture, Suite, unpack } from './debian.js'

/** A kernel to be tested. */
export interface KernelChoice {
  readonly name: string
  /** Debian's suite that has it. */
  readonly suite: string
  readonly architecture: DebianArchitecture
}

/** What qemu is given. */
export interface BootableKernel {
  /** As `uname -r` prints it. */
  readonly release: string
  /** Debian's version of the package. */
  readonly version: string
  readonly image: string
  readonly initramfs: string
}

/** Disks, a file system and its checksum; then what tests use: a loop device, kernel TLS. Some are built in. */
const MODULES = ['virtio_pci', 'virtio_blk', 'virtio_rng', 'crc32c_generic', 'ext4', 'loop', 'overlay', 'tls']

/**
 * The files of the wanted modules, each after those it depends on, from the text of modules.dep. Modules that are built
 * into the kernel are not in it.
 */
export function moduleOrder(modulesDep: string, wanted: readonly string[]): string[] {
  const dependencies = new Map<string, readonly string[]>()
  const pathOf = new Map<string, string>()
  for (const line of modulesDep.split('\n')) {
    const [path, after] = line.split(':')
    if (!path || after === undefined) continue
    dependencies.set(
      path,
      after.split(' ').filter((word) => word !== ''),
    )
    pathOf.set(
      basename(path)
        .replace(/\.ko.*$/, '')
        .replaceAll('-', '_'),
      path,
    )
  }
  const order = new Set<string>()
  const add = (path: string): void => {
    if (order.has(path)) return
    for (const dependency of dependencies.get(path) ?? []) add(dependency)
    order.add(path)
  }
  for (const name of wanted) {
    const path = pathOf.get(name)
    if (path !== undefined) add(path)
  }
  return [...order]
}

// Modules are loaded in the order of their names; whatever goes wrong ends the machine, for nobody is there to mend it.
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod $module || echo "insmod $module failed"; done
mkdir() { /bin/busybox mkdir -p "$@"; }
/bin/busybox mount -t ext4 -o noatime /dev/vda /guest &&
  mkdir /guest/opt &&
  /bin/busybox mount -t ext4 -o noatime /dev/vdb /guest/opt &&
  /bin/busybox mount --move /dev /guest/dev &&
  /bin/busybox mount --move /proc /guest/proc &&
  exec /bin/busybox switch_root /guest /bin/sh /opt/guest.sh
echo 'the disks could not be mounted'
/bin/busybox poweroff -f
`

function moduleBytes(path: string): Uint8Array {
  if (!path.endsWith('.xz')) return readFileSync(path)
  // The decompression in the kernel is newer than 5.10, that of busybox is optional.
  const plain = path.slice(0, -'.xz'.length)
  if (!existsSync(plain)) run('xz', ['-dk', path])
  return readFileSync(plain)
}

function makeInitramfs(tree: string, release: string, userland: string): Buffer {
  const modules = join(tree, 'lib/modules', release)
  if (!existsSync(join(modules, 'modules.dep'))) run('depmod', ['-b', tree, release])
  const order = moduleOrder(readFileSync(join(modules, 'modules.dep'), 'utf8'), MODULES)
  const folders = ['bin', 'dev', 'proc', 'guest', 'modules'].map(
    (path): CpioEntry => ({ path, mode: FOLDER }),
  )
  return cpio([
    ...folders,
    { path: 'dev/console', mode: CHARACTER_DEVICE, device: [5, 1] },
    { path: 'bin/busybox', mode: PROGRAM, content: readFileSync(join(userland, 'usr/bin/busybox')) },
    { path: 'init', mode: PROGRAM, content: Buffer.from(INIT) },
    ...order.map((path, index) => ({
      path: `modules/${String(index).padStart(2, '0')}-${basename(path).replace(/\.xz$/, '')}`,
      mode: PROGRAM,
      content: moduleBytes(join(modules, path)),
    })),
  ])
}

/** Downloads and unpacks a kernel, unless the cache has it, and makes its initramfs. */
export function prepareKernel(choice: KernelChoice, cache: string, userland: string): BootableKernel {
  const suite = new Suite(choice.suite, choice.architecture, cache)
  const name = suite.behind(`linux-image-${choice.architecture}`)
  const file = suite.download(name)[0]!
  const version = decodeURIComponent(basename(file).split('_')[1]!)
  const release = name.replace('linux-image-', '')
  const tree = join(cache, 'kernels', `${release}_${version}`)
  const image = join(tree, 'boot', `vmlinuz-${release}`)
  if (!existsSync(image)) {
    mkdirSync(tree, { recursive: true })
    unpack(file, tree)
    // Debian 13 has its modules under /usr; depmod and we look in the old place.
    const moved = join(tree, 'usr/lib/modules')
    if (existsSync(moved)) {
      mkdirSync(join(tree, 'lib'), { recursive: true })
      for (const folder of readdirSync(moved)) {
        mkdirSync(join(tree, 'lib/modules'), { recursive: true })
        run('mv', [join(moved, folder), join(tree, 'lib/modules', folder)])
      }
    }
  }
  const initramfs = join(dirname(image), 'initramfs.gz')
  writeFileSync(initramfs, gzipSync(makeInitramfs(tree, release, userland), { level: 1 }))
  return { release, version, image, initramfs }
}
