// A random sequence of file operations, run step by step on uring/fs and on node:fs/promises in two directories. Every
// result, every error and the trees at the end must be the same.

import nodeSync from 'node:fs'
import nodeFs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import uringFs from '../../src/fs/index.js'
import { assert } from '../harness.js'

/** What the two implementations have in common. */
type Implementation = typeof nodeFs

/** Numbers that follow from a seed alone. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let word = this.#state
    word = Math.imul(word ^ (word >>> 15), word | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** An integer from 0 to below `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  chance(of: number): boolean {
    return this.next() < of
  }
}

/** One side: its implementation, its directory, its open handles. */
interface Side {
  readonly fs: Implementation
  readonly root: string
  readonly handles: nodeFs.FileHandle[]
}

type Operation = (side: Side) => Promise<unknown>

/** Names that are used most, so that operations meet. */
const COMMON_NAMES = ['a', 'b', 'c', 'd/x', 'd']
const NAMES = [
  'a',
  'b',
  'c',
  'd',
  'e f',
  'ü',
  'd/x',
  'd/y',
  'd/z/w',
  'c/x',
  'g',
  'g/h/i/j',
  'l1',
  'l2',
  'missing/k',
]
const ENCODINGS = ['utf8', 'latin1', 'hex', 'base64', 'utf16le', 'ascii', 'base64url', 'ucs2'] as const
const FLAGS = ['r', 'r+', 'w', 'wx', 'w+', 'a', 'ax', 'a+', 'rs+', 'as+', 'xa', 'sr'] as const
const BAD: readonly unknown[] = [
  undefined,
  null,
  5,
  -1,
  1.5,
  Number.NaN,
  'x\0y',
  '',
  {},
  [],
  true,
  Symbol('s'),
  2n,
  () => {},
]
const MODES = [0o600, 0o644, 0o755, 0o777, 0o400, '640', '0700', 0o1777, 0o4755] as const

type PathMaker = (root: string) => string | Buffer | URL

function somePath(random: Random): PathMaker {
  const name = random.pick(random.chance(0.5) ? COMMON_NAMES : NAMES)
  switch (random.below(12)) {
    case 0:
      return (root) => Buffer.from(join(root, name))
    case 1:
      return (root) => pathToFileURL(join(root, name))
    case 2:
      return (root) => `${join(root, name)}/`
    case 3:
      return (root) => `${root}/d/../${name}`
    case 4:
      return (root) => `${root}//./${name}`
    default:
      return (root) => join(root, name)
  }
}

function someBytes(random: Random): Buffer {
  const length = random.pick([0, 1, 3, 10, 100, 1000, 4096, 5000, 16_384, 20_000, 70_000])
  const start = random.below(256)
  // In memory of its own: the pool of Buffer has other things beside it, which a view from its start would show.
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (start + index * 7) & 0xff).buffer)
}

function someText(random: Random): string {
  return random
    .pick(['', 'x', 'hello', 'ünïcödé ', '\u{1f600}', 'deadbeef', 'YWJj', 'line\n'])
    .repeat(random.pick([1, 1, 2, 50, 6000]))
}

/** Made anew for each side, for iterators and streams are used up. */
function someData(random: Random): () => unknown {
  const bytes = someBytes(random)
  const text = someText(random)
  const bad = random.pick(BAD)
  switch (random.below(12)) {
    case 0:
      return () => new Uint16Array(bytes.buffer.slice(0, bytes.length & ~1))
    case 1:
      return () => new DataView(bytes.buffer, 0, bytes.length)
    case 2:
      return () => [text, bytes, 'end']
    case 3:
      return () => Readable.from([bytes, text])
    case 4:
      return async function* pieces() {
        yield text
        yield bytes
      }
    case 5:
      return () => new Set([text])
    case 6:
      return () => bad
    case 7:
    case 8:
      return () => text
    default:
      return () => bytes
  }
}

function writeOptions(random: Random): unknown {
  if (random.chance(0.4)) return undefined
  if (random.chance(0.2)) return random.pick(ENCODINGS)
  if (random.chance(0.05)) return random.pick(BAD.filter((value) => typeof value !== 'string'))
  const options: Record<string, unknown> = {}
  if (random.chance(0.3)) options['encoding'] = random.chance(0.1) ? 'nonsense' : random.pick(ENCODINGS)
  if (random.chance(0.3)) options['flag'] = random.chance(0.1) ? 'nonsense' : random.pick(FLAGS)
  if (random.chance(0.3)) options['mode'] = random.chance(0.1) ? random.pick(BAD) : random.pick(MODES)
  if (random.chance(0.02)) options['flush'] = random.chance(0.5)
  if (random.chance(0.05))
    options['signal'] = random.chance(0.5) ? AbortSignal.abort('why') : new AbortController().signal
  return options
}

function readOptions(random: Random): unknown {
  if (random.chance(0.4)) return undefined
  if (random.chance(0.3)) return random.pick([...ENCODINGS, 'nonsense', 'buffer'])
  const options: Record<string, unknown> = {}
  if (random.chance(0.5)) options['encoding'] = random.pick([...ENCODINGS, null, undefined])
  if (random.chance(0.2)) options['flag'] = random.pick([...FLAGS, 'nonsense'])
  if (random.chance(0.05)) options['signal'] = AbortSignal.abort()
  return options
}

const position = (random: Random): unknown => random.pick([undefined, null, 0, 0, 1, 10, 4095, 100_000, -1])

// biome-ignore lint/suspicious/noExplicitAny: arguments of every kind, wrong ones among them
type Anything = any

const onPath: Readonly<Record<string, (random: Random) => Operation>> = {
  writeFile: (random) => {
    const [path, data, options] = [somePath(random), someData(random), writeOptions(random)]
    return ({ fs, root }) => fs.writeFile(path(root), data() as Anything, options as Anything)
  },
  appendFile: (random) => {
    const [path, data, options] = [somePath(random), someData(random), writeOptions(random)]
    return ({ fs, root }) => fs.appendFile(path(root), data() as Anything, options as Anything)
  },
  readFile: (random) => {
    const [path, options] = [somePath(random), readOptions(random)]
    return ({ fs, root }) => fs.readFile(path(root), options as Anything)
  },
  open: (random) => {
    const path = somePath(random)
    const flags = random.chance(0.05)
      ? random.pick(BAD)
      : random.pick([...FLAGS, 0, 1, 2, 0o100 | 2, undefined])
    const mode = random.chance(0.7) ? undefined : random.pick(MODES)
    return async ({ fs, root, handles }) => {
      const handle = await fs.open(path(root), flags as Anything, mode)
      handles.push(handle)
      return 'opened'
    }
  },
  mkdir: (random) => {
    const path = somePath(random)
    const options = random.pick([
      undefined,
      { recursive: true },
      { recursive: true, mode: 0o700 },
      0o755,
      '700',
      { mode: 0o711 },
      { recursive: 'yes' },
      null,
    ])
    return async ({ fs, root }) => fs.mkdir(path(root), options as Anything)
  },
  rmdir: (random) => {
    const path = somePath(random)
    return ({ fs, root }) => fs.rmdir(path(root))
  },
  rm: (random) => {
    const path = somePath(random)
    const options = random.pick([
      undefined,
      { force: true },
      { recursive: true, force: true },
      { force: 'x' },
      { maxRetries: -1 },
      { recursive: true },
    ])
    return ({ fs, root }) => fs.rm(path(root), options as Anything)
  },
  unlink: (random) => {
    const path = somePath(random)
    return ({ fs, root }) => fs.unlink(path(root))
  },
  rename: (random) => {
    const [from, to] = [somePath(random), somePath(random)]
    return ({ fs, root }) => fs.rename(from(root), to(root))
  },
  link: (random) => {
    const [from, to] = [somePath(random), somePath(random)]
    return ({ fs, root }) => fs.link(from(root), to(root))
  },
  symlink: (random) => {
    const [target, path] = [random.pick(NAMES), somePath(random)]
    const type = random.pick([undefined, undefined, null, 'file', 'dir', 'nonsense'])
    return ({ fs, root }) => fs.symlink(target, path(root), type)
  },
  readlink: (random) => {
    const path = somePath(random)
    return ({ fs, root }) => fs.readlink(path(root))
  },
  realpath: (random) => {
    const path = somePath(random)
    return ({ fs, root }) => fs.realpath(path(root))
  },
  stat: (random) => {
    const [path, options] = [
      somePath(random),
      random.pick([undefined, {}, { bigint: true }, { bigint: false }, null]),
    ]
    return ({ fs, root }) => fs.stat(path(root), options as Anything)
  },
  lstat: (random) => {
    const [path, options] = [somePath(random), random.pick([undefined, {}, { bigint: true }])]
    return ({ fs, root }) => fs.lstat(path(root), options as Anything)
  },
  truncate: (random) => {
    const [path, length] = [
      somePath(random),
      random.pick([undefined, 0, 1, 10, 5000, -3, 1.5, 'x', 2 ** 53, 2 ** 62]),
    ]
    return ({ fs, root }) => fs.truncate(path(root), length as number)
  },
  chmod: (random) => {
    const [path, mode] = [somePath(random), random.pick([...MODES, 'zz', -1])]
    return ({ fs, root }) => fs.chmod(path(root), mode)
  },
  utimes: (random) => {
    const [path, time] = [
      somePath(random),
      random.pick([0, 1, 1_234_567_890.123, new Date(86_400_000), '5', 'never']),
    ]
    return ({ fs, root }) => fs.utimes(path(root), time, time)
  },
  lutimes: (random) => {
    const [path, time] = [somePath(random), random.pick([0, 1_234_567_890, new Date(86_400_000)])]
    return ({ fs, root }) => fs.lutimes(path(root), time, time)
  },
  access: (random) => {
    const [path, mode] = [somePath(random), random.pick([undefined, 0, 4, 7])]
    return ({ fs, root }) => fs.access(path(root), mode)
  },
  copyFile: (random) => {
    const [from, to, mode] = [somePath(random), somePath(random), random.pick([undefined, 0, 1])]
    return ({ fs, root }) => fs.copyFile(from(root), to(root), mode)
  },
  readdir: (random) => {
    const path = random.chance(0.3) ? (root: string) => root : somePath(random)
    const options = random.pick([undefined, 'utf8', { withFileTypes: true }, { recursive: true }])
    return async ({ fs, root }) => {
      const entries: Anything[] = await fs.readdir(path(root), options as Anything)
      return entries
        .map((entry) => (typeof entry === 'string' ? entry : `${entry.name} ${entry.isDirectory()}`))
        .sort()
    }
  },
  opendir: (random) => {
    const path = somePath(random)
    return async ({ fs, root }) => {
      const names: string[] = []
      for await (const entry of await fs.opendir(path(root) as string)) names.push(entry.name)
      return names.sort()
    }
  },
  mkdtemp: () => {
    const path = 'd/tmp-'
    return async ({ fs, root }) => {
      const made = await fs.mkdtemp(join(root, path))
      await fs.rmdir(made)
      return made.slice(0, -6)
    }
  },
  badPath: (random) => {
    const [path, call] = [
      random.pick(BAD),
      random.pick([
        'open',
        'readFile',
        'stat',
        'lstat',
        'unlink',
        'mkdir',
        'rm',
        'rmdir',
        'truncate',
        'readdir',
        'access',
        'readlink',
      ] as const),
    ]
    return ({ fs }) => (fs[call] as Anything)(path)
  },
  badPaths: (random) => {
    const [good, bad] = [somePath(random), random.pick(BAD)]
    const call = random.pick(['rename', 'link', 'symlink', 'copyFile'] as const)
    const second = random.chance(0.5)
    return ({ fs, root }) =>
      second
        ? fs[call](good(root) as Anything, bad as Anything)
        : fs[call](bad as Anything, good(root) as Anything)
  },
}

function pieceOf(result: Anything): unknown {
  const { bytesRead, bytesWritten, buffer, buffers } = result
  return { prototype: Object.getPrototypeOf(result), bytesRead, bytesWritten, buffer, buffers }
}

const onHandle: Readonly<Record<string, (random: Random) => (handle: Anything) => Promise<unknown>>> = {
  read: (random) => {
    const size = random.pick([0, 1, 10, 4096, 20_000])
    const offset = random.pick([undefined, null, 0, 0, 1, 5, -1, 1.5, 'x'])
    const length = random.pick([undefined, null, 0, 1, 5, 10_000, -1])
    const at = position(random)
    return random.chance(0.5)
      ? async (handle) => pieceOf(await handle.read(Buffer.alloc(size), offset, length, at))
      : async (handle) =>
          pieceOf(await handle.read({ buffer: Buffer.alloc(size), offset, length, position: at }))
  },
  readOptions: (random) => {
    const options = random.pick([undefined, null, {}, { position: 2 }, { length: 3 }, 'x', 5])
    return async (handle) => pieceOf(await handle.read(...(options === undefined ? [] : [options])))
  },
  write: (random) => {
    const data = random.pick([
      someBytes(random),
      new Uint16Array([1, 2, 3]),
      new DataView(new ArrayBuffer(5)),
    ])
    const offset = random.pick([undefined, null, 0, 1, 5, -1, {}, { length: 2 }, { offset: 1, position: 3 }])
    const length = random.pick([undefined, null, 0, 1, 3, -1, 100_000])
    const at = position(random)
    return async (handle) => pieceOf(await handle.write(data, offset, length, at))
  },
  writeText: (random) => {
    const [text, at] = [someText(random), position(random)]
    const encoding = random.pick([undefined, null, ...ENCODINGS, 'nonsense'])
    return async (handle) => pieceOf(await handle.write(text, at, encoding))
  },
  writeBad: (random) => {
    const data = random.pick(BAD.filter((value) => typeof value !== 'string'))
    return async (handle) => pieceOf(await handle.write(data))
  },
  readv: (random) => {
    const sizes = random.pick([[], [1], [10, 0, 20], [4096, 4096], Array.from({ length: 1100 }, () => 2)])
    const at = random.pick([undefined, null, 0, 7, -1, 'x'])
    const bad = random.chance(0.1) ? random.pick(BAD) : null
    return async (handle) => pieceOf(await handle.readv(bad ?? sizes.map((size) => Buffer.alloc(size)), at))
  },
  writev: (random) => {
    const views = random.pick([
      [],
      [Buffer.from('x')],
      [Buffer.from('ab'), new Uint16Array(3), Buffer.alloc(0), Buffer.from('c')],
      Array.from({ length: 1100 }, () => Buffer.from('yz')),
    ])
    const at = random.pick([undefined, null, 0, 7, -1])
    return async (handle) => pieceOf(await handle.writev(views, at))
  },
  stat: (random) => {
    const options = random.pick([undefined, {}, { bigint: true }])
    return (handle) => handle.stat(options)
  },
  truncate: (random) => {
    const length = random.pick([undefined, 0, 3, 9000, -5, 1.5, 'x'])
    return (handle) => handle.truncate(length)
  },
  readFile: (random) => {
    const options = readOptions(random)
    return (handle) => handle.readFile(options)
  },
  writeFile: (random) => {
    const [data, options] = [someData(random), writeOptions(random)]
    return (handle) => handle.writeFile(data(), options)
  },
  appendFile: (random) => {
    const [data, options] = [someData(random), writeOptions(random)]
    return (handle) => handle.appendFile(data(), options)
  },
  chmod: (random) => {
    const mode = random.pick([...MODES, 'zz'])
    return (handle) => handle.chmod(mode)
  },
  chown: (random) => {
    const uid = random.pick([process.getuid!(), -1, 'x', 1.5])
    return (handle) => handle.chown(uid, process.getgid!())
  },
  utimes: (random) => {
    const time = random.pick([0, 99.5, new Date(5000), 'x'])
    return (handle) => handle.utimes(time, time)
  },
  datasync: () => (handle) => handle.datasync(),
  sync: () => (handle) => handle.sync(),
  lines: () => async (handle) => {
    const lines: string[] = []
    for await (const line of handle.readLines({ autoClose: false, start: 0 })) lines.push(line)
    return lines
  },
  close: () => (handle) => handle.close(),
  fd: () => async (handle) => handle.fd === -1,
}

// What waits for the disk is slow, and seldom has another outcome.
const SELDOM: ReadonlySet<string> = new Set([
  'close',
  'sync',
  'datasync',
  'mkdtemp',
  'utimes',
  'chown',
  'lines',
  'badPath',
  'badPaths',
])

function drawn(random: Random, from: Readonly<Record<string, unknown>>): string {
  for (;;) {
    const name = random.pick(Object.keys(from))
    if (!SELDOM.has(name) || random.chance(0.2)) return name
  }
}

/** What of a result can be the same on both sides: times and inodes cannot. */
function comparable(value: Anything, root: string): unknown {
  if (value instanceof Error) {
    const { name, code, errno, syscall, path, dest, message } = value as Anything
    const cause = value.cause instanceof Error ? String(value.cause) : value.cause
    const kind = [TypeError, RangeError, AggregateError].find((one) => value instanceof one)?.name
    const own = { kind, name, code, errno, syscall, path, dest, message, cause }
    return JSON.parse(
      JSON.stringify(own)
        .replaceAll(root, '<root>')
        .replace(/tmp-\w{6}/g, 'tmp-'),
    )
  }
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return `${value.constructor.name} ${bytes.toString('base64')}`
  }
  if (
    value instanceof nodeSync.Stats ||
    (typeof value === 'object' && value !== null && 'birthtimeNs' in value)
  ) {
    const { dev, mode, nlink, uid, gid, rdev, blksize, size } = value
    const isSized = !value.isDirectory()
    return inspect([
      Object.keys(value),
      dev,
      mode,
      nlink,
      uid,
      gid,
      rdev,
      blksize,
      isSized && size,
      value.isFile(),
    ])
  }
  if (typeof value === 'string') return value.replaceAll(root, '<root>')
  if (Array.isArray(value)) return value.map((one) => comparable(one, root))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, comparable(one, root)]))
  }
  return value
}

async function outcome(operation: Operation, side: Side): Promise<unknown> {
  try {
    return { value: comparable(await operation(side), side.root) }
  } catch (error) {
    return { error: comparable(error, side.root) }
  }
}

/** Every file below `folder`, with what it is and what is in it. */
export function treeOf(folder: string, below = ''): string[] {
  // One directory at a time: Nodes differ in what a recursive readdir does about one that may not be read.
  const names = permitted(() => nodeSync.readdirSync(join(folder, below)).sort())
  if (names === null) return [`${below}/ out of reach`]
  return names.flatMap((entry) => {
    const name = join(below, entry)
    const path = join(folder, name)
    const stats = permitted(() => nodeSync.lstatSync(path))
    if (stats === null) return [`${name} out of reach`]
    const kind = (stats.mode & 0o170000).toString(8)
    let content = ''
    if (stats.isSymbolicLink()) content = nodeSync.readlinkSync(path)
    else if (stats.isFile()) content = `${stats.nlink} ${contentOf(path)}`
    const mode = stats.isSymbolicLink() ? '' : (stats.mode & 0o7777).toString(8)
    const line = `${name} ${kind} ${mode} ${content}`
    return stats.isDirectory() ? [line, ...treeOf(folder, name)] : [line]
  })
}

/** What `read` returns; null where only root may look. */
function permitted<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    return null
  }
}

function contentOf(path: string): string | null {
  return permitted(() => nodeSync.readFileSync(path).toString('base64'))
}

function nextOperation(random: Random, handles: number): { name: string; run: Operation } {
  if (handles > 0 && random.chance(0.5)) {
    const name = drawn(random, onHandle)
    const index = random.below(handles)
    const run = onHandle[name]!(random)
    return { name: `handle.${name}`, run: (side) => run(side.handles[index]) }
  }
  const name = random.chance(0.15) ? 'open' : drawn(random, onPath)
  return { name, run: onPath[name]!(random) }
}

/**
 * Runs `count` operations that follow from `seed`.
 *
 * @returns How many of them succeeded.
 */
export async function compareSequences(seed: number, count: number): Promise<number> {
  const random = new Random(seed)
  const base = nodeSync.mkdtempSync(join(tmpdir(), 'uring-differential-'))
  const sides: Side[] = [
    { fs: uringFs as unknown as Implementation, root: join(base, 'x'), handles: [] },
    { fs: nodeFs, root: join(base, 'y'), handles: [] },
  ]
  const [ours, nodes] = sides as [Side, Side]
  let succeeded = 0
  try {
    for (const { root } of sides) nodeSync.mkdirSync(join(root, 'd/z'), { recursive: true })
    for (let step = 0; step < count; step++) {
      const { name, run } = nextOperation(random, ours.handles.length)
      const expected = sameForAll(name, await outcome(run, nodes))
      const actual = sameForAll(name, await outcome(run, ours))
      assert.equal(
        actual,
        expected,
        `seed ${seed}, step ${step}, ${name}: ${inspect({ actual, expected }, { depth: 5 })}`,
      )
      if ((actual as { error?: unknown }).error === undefined) succeeded++
      const index = random.below(ours.handles.length)
      // A closed handle is of interest for a while only.
      if (ours.handles.length > 8 || (ours.handles[index]?.fd === -1 && random.chance(0.5))) {
        for (const { handles } of sides) await handles.splice(index, 1)[0]!.close()
      }
      if (step % 500 === 499)
        assert.equal(treeOf(ours.root), treeOf(nodes.root), `seed ${seed}, tree after step ${step}`)
    }
    for (const { handles } of sides) for (const handle of handles) await handle.close()
    assert.equal(treeOf(ours.root), treeOf(nodes.root), `seed ${seed}, tree at the end`)
    return succeeded
  } finally {
    // Only root removes what is in a directory without permissions.
    for (const { root } of sides) makeAccessible(root)
    nodeSync.rmSync(base, { recursive: true, force: true })
  }
}

/**
 * Node removes the entries of a directory side by side: of several that cannot be removed, any may be the one that the error
 * names.
 */
function sameForAll(name: string, result: unknown): unknown {
  const { error } = result as { error?: { code?: string; path?: string; message?: string } }
  if (name === 'rm' && error?.code === 'EACCES') return { error: { ...error, path: 'any', message: 'any' } }
  // Where Node reads a member of null, ours says what is wrong.
  if (!/^l?stat$/.test(name) || !error?.message?.startsWith('Cannot read properties of null')) return result
  const message = 'The "options" argument must be of type object. Received null'
  return { error: { ...error, code: 'ERR_INVALID_ARG_TYPE', message } }
}

function makeAccessible(folder: string): void {
  nodeSync.chmodSync(folder, 0o700)
  for (const entry of nodeSync.readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) makeAccessible(join(folder, entry.name))
  }
}
