// The guest's disks: a small Debian that is kept in the cache, and one with this checkout and Node, made anew each time.

import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './commands.js'
import { type DebianArchitecture, Suite, unpack } from './debian.js'
import { transpile } from './transpile.js'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Where the checkout is in the guest. */
export const GUEST_CHECKOUT = '/opt/checkout'

/** One userland for every kernel, so that kernels are all that differs: the programs that tests call, and a compiler. */
const USERLAND_SUITE = 'trixie'
const USERLAND = [
  'base-files',
  'base-passwd',
  'bash',
  'busybox-static',
  'coreutils',
  'curl',
  'dash',
  'diffutils',
  'findutils',
  'gcc',
  'git',
  'grep',
  'hostname',
  'libc-bin',
  'libc6-dev',
  'libstdc++6',
  'linux-libc-dev',
  'mount',
  'passwd',
  'procps',
  'rdiff',
  'sed',
  'strace',
  'tar',
  'util-linux',
]
const USERLAND_BYTES = '6G'

/** What runs on the developer's machine only, and is large. */
const LEFT_OUT = new Set([
  '.cache',
  '@arethetypeswrong',
  '@biomejs',
  '@typescript',
  'echarts',
  'highlight.js',
  'typescript',
  'zrender',
])

/** Links and files that the packages' scripts would have made; none of them is run. */
function finishUserland(tree: string): void {
  const link = (target: string, path: string): void => {
    const full = join(tree, path)
    if (existsSync(full)) return
    mkdirSync(dirname(full), { recursive: true })
    symlinkSync(target, full)
  }
  link('gcc', 'usr/bin/cc')
  link('dash', 'usr/bin/sh')
  for (const [file, master] of [
    ['passwd', 'passwd.master'],
    ['group', 'group.master'],
  ] as const) {
    writeFileSync(join(tree, 'etc', file), readFileSync(join(tree, 'usr/share/base-passwd', master)))
  }
  writeFileSync(join(tree, 'etc/hostname'), 'guest\n')
  writeFileSync(join(tree, 'etc/hosts'), '127.0.0.1 localhost guest\n::1 localhost\n')
  for (const folder of ['opt', 'dev', 'proc', 'sys', 'tmp', 'run', 'root'])
    mkdirSync(join(tree, folder), { recursive: true })
  chmodSync(join(tree, 'tmp'), 0o1777)
  for (const unused of ['usr/share/doc', 'usr/share/locale', 'usr/share/man', 'usr/share/info']) {
    rmSync(join(tree, unused), { recursive: true, force: true })
  }
}

/** An ext4 image with the contents of a folder. The file has holes: it takes the space of its contents. */
function makeImage(file: string, size: string, folder: string): void {
  rmSync(file, { force: true })
  run('mkfs.ext4', ['-q', '-F', '-E', 'root_owner=0:0', '-d', folder, file, size])
}

/** The tree and the disk image of the guest's own programs. */
export interface Userland {
  readonly tree: string
  readonly image: string
}

/** Makes the guest's Debian, unless the cache has it. */
export function prepareUserland(architecture: DebianArchitecture, cache: string): Userland {
  const folder = join(cache, `userland-${architecture}`)
  const tree = join(folder, 'tree')
  const image = join(folder, 'disk.img')
  const contents = join(folder, 'packages')
  const wanted = USERLAND.join('\n')
  const has = existsSync(contents) ? readFileSync(contents, 'utf8') : ''
  if (has === wanted && existsSync(image)) return { tree, image }
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(tree, { recursive: true })
  const files = new Suite(USERLAND_SUITE, architecture, cache).downloadClosure(USERLAND)
  // First the package that says where /bin and /lib are.
  const rank = (file: string): number => (/\/base-files_/.test(file) ? 0 : 1)
  for (const file of files.sort((a, b) => rank(a) - rank(b))) unpack(file, tree)
  finishUserland(tree)
  makeImage(`${image}.new`, USERLAND_BYTES, tree)
  renameSync(`${image}.new`, image)
  writeFileSync(contents, wanted)
  return { tree, image }
}

/** Fetches a package by npm and unpacks it into `folder`, unless the cache has it. Returns the folder. */
function npmPackage(name: string, version: string, cache: string): string {
  const folder = join(cache, 'npm', `${name.replace('/', '-')}-${version}`)
  if (existsSync(folder)) return folder
  const scratch = mkdtempSync(join(tmpdir(), 'uring-npm-'))
  try {
    const tarball = run('npm', ['pack', '--silent', `${name}@${version}`], { cwd: scratch })
      .trim()
      .split('\n')
      .at(-1)!
    mkdirSync(`${folder}.new`, { recursive: true })
    run('tar', ['-xzf', join(scratch, tarball), '-C', `${folder}.new`, '--strip-components=1'])
    renameSync(`${folder}.new`, folder)
    return folder
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function versionOf(name: string): string {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as {
    version: string
  }
  return version
}

/** The Node that runs this script, or the same version of it for another processor, as npm has it. */
function nodeFor(architecture: DebianArchitecture, cache: string): string {
  if (architecture === (process.arch === 'arm64' ? 'arm64' : 'amd64')) return process.execPath
  return join(
    npmPackage(`node-linux-${architecture === 'amd64' ? 'x64' : architecture}`, process.versions.node, cache),
    'bin/node',
  )
}

/** Puts koffi's binary for another processor into a copy of node_modules. */
function addBinary(modules: string, architecture: DebianArchitecture, cache: string): void {
  const cpu = architecture === 'amd64' ? 'x64' : architecture
  if (process.arch === cpu) return
  const name = `@koromix/koffi-linux-${cpu}`
  cpSync(npmPackage(name, versionOf('koffi'), cache), join(modules, name), { recursive: true })
}

/** Makes the disk with Node, the checkout and the script that the guest runs. */
export function makeCheckoutDisk(
  image: string,
  architecture: DebianArchitecture,
  cache: string,
  script: string,
): void {
  mkdirSync(dirname(image), { recursive: true })
  const stage = mkdtempSync(join(dirname(image), 'stage-'))
  try {
    const checkout = join(stage, 'checkout')
    mkdirSync(join(stage, 'bin'))
    cpSync(nodeFor(architecture, cache), join(stage, 'bin/node'), { dereference: true })
    const skipped = new Set(['.git', '.bench', '.ci', 'dist', relative(ROOT, cache)])
    for (const name of readdirSync(ROOT)) {
      if (skipped.has(name) || name.endsWith('.tgz')) continue
      cpSync(join(ROOT, name), join(checkout, name), {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => {
          const parts = relative(ROOT, path).split('/')
          return parts[0] !== 'node_modules' || !parts.slice(1, 3).some((part) => LEFT_OUT.has(part))
        },
      })
    }
    transpile(checkout)
    addBinary(join(checkout, 'node_modules'), architecture, cache)
    writeFileSync(join(stage, 'guest.sh'), script)
    makeImage(image, '2G', stage)
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}
