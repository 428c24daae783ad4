// Arguments that nobody should pass, and some that one may. A case names them by tags, so that it can be printed and had
// again; what a tag stands for is made where the case runs.

import { chmodSync, closeSync, constants, lstatSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { fcntl, pipe2 } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'

const F_DUPFD_CLOEXEC = 1030
/** Numbers below this may be descriptors of the process itself: no case has them, but 0, which is /dev/null here. */
const FIRST_FD = 800

/** What the cases of one process use. */
export interface World {
  readonly folder: string
  /** A file, the ends of a pipe. */
  readonly fds: readonly number[]
}

/** Opens descriptors far above those of the process. */
export function makeWorld(folder: string): World {
  const path = join(folder, 'file')
  writeFileSync(path, 'some bytes for everyone')
  const file = openSync(path, constants.O_RDWR)
  const ends = new Int32Array(new ArrayBuffer(8))
  pipe2(addressOf(ends), 0o2004000)
  const fds = [file, ends[0]!, ends[1]!].map((fd) => fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD))
  return { folder, fds }
}

/** Opens again what a case has closed, and makes the file what it was. */
export function mendWorld({ folder, fds }: World): void {
  const F_GETFD = 1
  const path = join(folder, 'file')
  try {
    if (lstatSync(path).isFile()) chmodSync(path, 0o644)
    else rmSync(path, { recursive: true, force: true })
  } catch {
    // It is gone.
  }
  writeFileSync(path, 'some bytes for everyone')
  for (const fd of fds) {
    if (fcntl(fd, F_GETFD, 0) >= 0) continue
    const file = openSync(path, constants.O_RDWR)
    fcntl(file, F_DUPFD_CLOEXEC, fd)
    closeSync(file)
  }
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(64)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

const throwing = (): unknown =>
  new Proxy(
    {},
    {
      get() {
        throw Object.assign(new Error('a getter threw'), { code: 'ERR_FROM_GETTER' })
      },
    },
  )

const MAKERS: Readonly<Record<string, (world: World) => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  false: () => false,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  '-Infinity': () => Number.NEGATIVE_INFINITY,
  '-0': () => -0,
  '0': () => 0,
  '-1': () => -1,
  '-2': () => -2,
  '0.5': () => 0.5,
  '1000': () => 1000,
  '4095': () => 4095,
  '4096': () => 4096,
  '65535': () => 65_535,
  '65536': () => 65_536,
  '2^31-1': () => 2 ** 31 - 1,
  '2^31': () => 2 ** 31,
  '2^32-1': () => 2 ** 32 - 1,
  '2^32': () => 2 ** 32,
  '2^53': () => 2 ** 53,
  '1e300': () => 1e300,
  '0n': () => 0n,
  '-1n': () => -1n,
  '2n**64n': () => 2n ** 64n,
  "''": () => '',
  "'x'": () => 'x',
  "'utf8'": () => 'utf8',
  "'r'": () => 'r',
  "'w+'": () => 'w+',
  "'\\0'": () => 'a\0b',
  "'long'": () => 'x'.repeat(5000),
  "'lone'": () => '\ud800',
  "'7'": () => '7',
  name: () => 'file',
  otherName: () => 'other',
  missing: () => 'missing-file',
  bufferName: () => Buffer.from('file'),
  urlName: ({ folder }) => pathToFileURL(join(folder, 'file')),
  badUrl: () => new URL('http://example.com/file'),
  '{}': () => ({}),
  '[]': () => [],
  '[NaN]': () => [Number.NaN],
  '[null]': () => [null],
  '[buffer]': () => [Buffer.alloc(16)],
  '[[]]': () => [[]],
  sparse: () => new Array(5),
  function: () => () => {},
  throwingFunction: () => () => {
    throw Object.assign(new Error('a callback threw'), { code: 'ERR_FROM_CALLBACK' })
  },
  symbol: () => Symbol('s'),
  date: () => new Date(Number.NaN),
  regexp: () => /x/,
  map: () => new Map(),
  promise: () => Promise.resolve(1),
  noPrototype: () => Object.create(null),
  throwing,
  revoked: () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
  buffer: () => Buffer.alloc(64),
  empty: () => Buffer.alloc(0),
  uint8: () => new Uint8Array(100),
  uint16: () => new Uint16Array(9),
  float64: () => new Float64Array(3),
  bigint64: () => new BigInt64Array(3),
  dataView: () => new DataView(new ArrayBuffer(10), 3, 4),
  arrayBuffer: () => new ArrayBuffer(20),
  resizable: () =>
    new Uint8Array(
      new (ArrayBuffer as unknown as new (size: number, options: object) => ArrayBuffer)(8, {
        maxByteLength: 64,
      }),
    ),
  detached,
  detachedBuffer: () => detached().buffer,
  shared: () => new SharedArrayBuffer(16),
  sharedView: () => new Uint8Array(new SharedArrayBuffer(16)),
  signal: () => AbortSignal.timeout(5),
  aborted: () => AbortSignal.abort(),
  abortedWith: () => AbortSignal.abort(Symbol('why')),
  file: ({ fds }) => fds[0],
  readEnd: ({ fds }) => fds[1],
  writeEnd: ({ fds }) => fds[2],
  noFd: () => 999_999,
}

/** Members that options objects have here. */
const MEMBERS = [
  'offset',
  'length',
  'position',
  'signal',
  'timeoutMs',
  'fixedFile',
  'async',
  'drain',
  'personality',
  'bufferIndex',
  'flags',
  'flag',
  'mode',
  'encoding',
  'durable',
  'direct',
  'flush',
  'resolve',
  'recursive',
  'bigint',
  'withFileTypes',
  'count',
  'size',
  'incremental',
  'byOperations',
  'group',
  'highWaterMark',
  'entries',
  'cqEntries',
  'sqEntries',
  'setupFlags',
  'sqpoll',
  'sqThreadIdleMs',
  'sqThreadCpu',
  'attachTo',
  'mmapBasis',
  'zeroCopy',
  'hard',
  'mask',
  'family',
  'address',
  'port',
  'host',
  'path',
  'fd',
  'backlog',
  'chunks',
  'methods',
  'basis',
  'writer',
  'hash',
  'verify',
  'config',
  'blockBytes',
  'strongBytes',
  'depth',
  'bufferSize',
  'start',
  'end',
  'unknownMember',
] as const

/** A tag, a list of them, or members with tags. */
export type Tag = string | readonly Tag[] | { readonly [member: string]: Tag }

export function make(tag: Tag, world: World): unknown {
  if (typeof tag === 'string') return MAKERS[tag]!(world)
  if (Array.isArray(tag)) return tag.map((one: Tag) => make(one, world))
  return Object.fromEntries(Object.entries(tag).map(([member, value]) => [member, make(value, world)]))
}

/** Node 20 aborts the process for a mode of 2^31 and more (its own functions, which uring/fs leaves those calls to). */
export function withoutLargeModes(tag: Tag): Tag {
  if (typeof tag === 'string') return tag === '2^31' || tag === '2^32-1' ? '4095' : tag
  if (Array.isArray(tag)) return tag.map(withoutLargeModes)
  return Object.fromEntries(Object.entries(tag).map(([member, value]) => [member, withoutLargeModes(value)]))
}

const leaf = fc.constantFrom(...Object.keys(MAKERS))
const options = fc.dictionary(fc.constantFrom(...MEMBERS), leaf, { maxKeys: 4, noNullPrototype: true })

/** Any argument. */
export const anyTag: fc.Arbitrary<Tag> = fc.oneof(
  { weight: 6, arbitrary: leaf },
  { weight: 2, arbitrary: options },
  { weight: 1, arbitrary: fc.array(leaf, { maxLength: 3 }) },
)
