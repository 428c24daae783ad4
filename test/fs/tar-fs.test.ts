// A real program, unmodified: tar-fs packs and unpacks this project's node_modules through uring/fs, judged by GNU tar
// and diff. Its `fs` option takes functions with callbacks and streams by path, so they are made of uring/fs as a user
// would make them.

import { spawnSync } from 'node:child_process'
import { createReadStream, createWriteStream, mkdirSync, readdirSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { callbackify } from 'node:util'
import { type ExtractOptions, extract, type PackOptions, pack } from 'tar-fs'
import promises, { type FileHandle } from '../../src/fs/index.js'
import { openedDefaultUring } from '../../src/runtime/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { IS_EMULATED, scaled } from '../patience.js'
import { scratch } from './scratch.js'
import '../settled.js'

const SOURCE = fileURLToPath(new URL('../../node_modules', import.meta.url))

type Done = (error: unknown, ...results: unknown[]) => void

/** Open files of streams, by descriptor. */
const handles = new Map<number, FileHandle>()

function call(done: Done, promise: Promise<unknown[]>): void {
  promise.then(
    (results) => done(null, ...results),
    (error) => done(error),
  )
}

/** What `fs.createReadStream` and `fs.createWriteStream` do with a file, when this is their `fs` option. */
const streamOperations = {
  open(path: string, flags: string, mode: number, done: Done): void {
    const opened = promises.open(path, flags, mode).then((handle) => {
      handles.set(handle.fd, handle)
      return [handle.fd]
    })
    call(done, opened)
  },
  close(fd: number, done: Done): void {
    const handle = handles.get(fd)!
    handles.delete(fd)
    call(
      done,
      handle.close().then(() => []),
    )
  },
  read(fd: number, data: Buffer, offset: number, length: number, position: number | null, done: Done): void {
    const reading = handles.get(fd)!.read(data, offset, length, position)
    call(
      done,
      reading.then(({ bytesRead }) => [bytesRead, data]),
    )
  },
  write(fd: number, data: Buffer, offset: number, length: number, position: number | null, done: Done): void {
    const writing = handles.get(fd)!.write(data, offset, length, position)
    call(
      done,
      writing.then(({ bytesWritten }) => [bytesWritten, data]),
    )
  },
  writev(fd: number, data: Buffer[], position: number | null, done: Done): void {
    const writing = handles.get(fd)!.writev(data, position)
    call(
      done,
      writing.then(({ bytesWritten }) => [bytesWritten, data]),
    )
  },
}

/** As on node:fs of Linux, there is no lchmod. */
const WITHOUT_CALLBACK: readonly string[] = ['constants', 'glob', 'lchmod', 'watch']

const withCallbacks = Object.fromEntries(
  Object.entries(promises)
    .filter(([name]) => !WITHOUT_CALLBACK.includes(name))
    .map(([name, member]) => [name, callbackify(member as (...args: unknown[]) => Promise<unknown>)]),
)

// The types of tar-fs do not know its options `fs` and `umask`.
const fs = {
  ...withCallbacks,
  createReadStream: (path: string, options: object = {}) =>
    createReadStream(path, { ...options, fs: streamOperations } as object),
  createWriteStream: (path: string) => createWriteStream(path, { fs: streamOperations } as object),
}

function run(command: string, ...args: readonly string[]): string {
  const env = { ...process.env, LC_ALL: 'C' }
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env, maxBuffer: 1 << 26 })
  assert.is(status, 0, `${command} ${args.join(' ')}: ${stdout.slice(0, 2000)}${stderr.slice(0, 2000)}`)
  return stdout
}

/** Names, types, permissions, owners, sizes and link targets, one a line. */
function listing(folder: string): string {
  const format = '%P %y %m %U:%G %l %s\n'
  const sized = run('find', folder, '-mindepth', '1', '!', '-type', 'd', '-printf', format)
  const folders = run('find', folder, '-mindepth', '1', '-type', 'd', '-printf', '%P %m %U:%G\n')
  return (sized + folders).split('\n').sort().join('\n')
}

/** The names in an archive. GNU tar ends those of folders with a slash. */
function namesIn(archive: string): string[] {
  const lines = run('tar', '--list', '--file', archive).split('\n')
  return lines.map((name) => name.replace(/\/$/, '')).sort()
}

/** What of node_modules is packed: all but a few packages of large files, two thirds of its bytes and no more to find. */
function entriesOf(pattern: RegExp): string[] {
  const large = ['@biomejs', '@typescript', 'echarts']
  return readdirSync(SOURCE).filter((name) => pattern.test(name) && !large.includes(name))
}

async function packAndExtract(entries: readonly string[], folder: string): Promise<void> {
  mkdirSync(folder)
  for (const target of ['gnu', 'theirs', 'ours']) mkdirSync(`${folder}/${target}`)
  const gnu = `${folder}/gnu`
  const archives = { ours: `${folder}/ours.tar`, theirs: `${folder}/theirs.tar` }
  // What is packed is what GNU tar has extracted. Its times are whole seconds: Node's Date of a time rounds up within
  // the last half millisecond of one, and tar-fs would then put the next second into the archive.
  run('tar', '--create', '--file', archives.theirs, '--directory', SOURCE, ...entries)
  run('tar', '--extract', '--preserve-permissions', '--file', archives.theirs, '--directory', gnu)

  const packing = Object.assign({} as PackOptions, { entries: [...entries], fs })
  await pipeline(pack(gnu, packing), fs.createWriteStream(archives.ours))
  // Compares content, type, mode, owner, size and time with the files.
  assert.is(run('tar', '--diff', '--file', archives.ours, '--directory', gnu), '')
  assert.equal(namesIn(archives.ours), namesIn(archives.theirs))

  const extracting = Object.assign({} as ExtractOptions, { umask: 0, fs })
  for (const archive of ['ours', 'theirs'] as const) {
    const target = `${folder}/${archive}`
    await pipeline(fs.createReadStream(archives[archive]), extract(target, extracting))
    assert.is(run('diff', '--recursive', '--no-dereference', gnu, target), '')
    assert.is(listing(target), listing(gnu))
  }
  assert.is(handles.size, 0)
}

test(
  'tar-fs on uring/fs packs and extracts node_modules as GNU tar does',
  needs({ ring: true, command: 'tar' }, async () => {
    const before = descriptorCount()
    await packAndExtract(entriesOf(IS_EMULATED ? /^[a-d]/ : /./), scratch('on-a-ring'))
    const { submitted } = openedDefaultUring()!.counters
    assert.ok(submitted > scaled(50_000), `only ${submitted} operations went through the ring`)
    // The ring and its eventfd are all that may have been added.
    assert.ok(descriptorCount() <= before + 3)
  }),
)

test(
  'and so it does with a part of them when URING_DISABLE=1',
  needs({ command: 'tar' }, async () => {
    const before = openedDefaultUring()?.counters.submitted
    process.env['URING_DISABLE'] = '1'
    try {
      await packAndExtract(entriesOf(IS_EMULATED ? /^[r-z]/ : /^(\.bin|[i-z].*)$/), scratch('without-a-ring'))
    } finally {
      delete process.env['URING_DISABLE']
    }
    assert.is(openedDefaultUring()?.counters.submitted, before)
  }),
)

test.run()
