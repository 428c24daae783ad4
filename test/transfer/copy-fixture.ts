// What the tests of copies share: a folder, contents that tell blocks apart, trees to compare, runs with and without a ring.

import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { availability } from '../../src/config/index.js'

/** A folder of the test file's own, removed at its end. */
export function copyFolder(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'uring-copy-'))
  process.once('exit', () => {
    spawnSync('chmod', ['-R', 'u+rwx', folder])
    fs.rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** Bytes no two blocks of which are the same. */
export function distinctBytes(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed >>> 0 || 1
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes.writeUInt32LE(state, at)
  }
  return bytes
}

/** Runs `body` with the ring and without it. */
export async function withAndWithoutRing(body: (label: string) => Promise<void>): Promise<void> {
  // Where io_uring is refused there is one way only.
  if (availability().available) await body('with a ring')
  process.env['URING_DISABLE'] = '1'
  try {
    await body('without a ring')
  } finally {
    delete process.env['URING_DISABLE']
  }
}

/** What is left behind of unfinished work. */
export function leftovers(folder: string): string[] {
  // Not by a recursive readdir, which follows symlinks, and some here lead back up.
  return execFileSync('find', ['.', '-name', '*.partial'], { cwd: folder, encoding: 'latin1' })
    .split('\n')
    .filter((name) => name !== '')
}

/** Everything that `find` tells of a tree: kinds, permissions, owners, sizes, links, times, targets of symlinks. */
export function describeTree(folder: string, format = '%p %y %m %U %G %n %T@ %l\n'): string[] {
  const text = execFileSync('find', ['.', '-printf', format], { cwd: folder, encoding: 'latin1' })
  return text.split('\n').sort()
}

/** Sizes and blocks of the files of a tree: holes and data alike. */
export function describeFiles(folder: string): string[] {
  const args = ['.', '-type', 'f', '-printf', '%p %s %b\n']
  return execFileSync('find', args, { cwd: folder, encoding: 'latin1' }).split('\n').sort()
}

/** Extended attributes, where `getfattr` is installed. */
export function describeXattrs(folder: string): string {
  const run = spawnSync('getfattr', ['-R', '-h', '-d', '-m', '-', '.'], { cwd: folder, encoding: 'latin1' })
  return run.error === undefined ? run.stdout.split('\n\n').sort().join('\n\n') : ''
}

/** What `diff -r` has to say of the contents of two trees; FIFOs and the like apart. */
export function differences(one: string, other: string): string {
  const run = spawnSync('diff', ['-r', '--no-dereference', one, other], { encoding: 'latin1' })
  return run.stdout
    .split('\n')
    .filter((line) => line !== '' && !/^File .* is a (fifo|socket|.* special file)/.test(line))
    .join('\n')
}
