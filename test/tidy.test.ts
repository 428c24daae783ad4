// What no file of the project contains.

import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert, test } from './harness.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NOT_OURS = new Set(['node_modules', 'dist', '.git', '.bench', '.kernels'])

interface TextFile {
  readonly name: string
  readonly lines: readonly string[]
}

function* textFiles(folder = ROOT): Generator<TextFile> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (NOT_OURS.has(entry.name)) continue
    if (entry.isDirectory()) yield* textFiles(path)
    else if (entry.isFile() && !entry.name.endsWith('.tgz')) {
      const text = readFileSync(path, 'utf8')
      // A NUL byte: a picture or an archive.
      if (!text.includes('\0')) yield { name: relative(ROOT, path), lines: text.split('\n') }
    }
  }
}

const files = [...textFiles()]

/** Fails with every line that `check` has a complaint about. */
function forEachLine(chosen: readonly TextFile[], check: (line: string) => string | null): void {
  const complaints: string[] = []
  for (const { name, lines } of chosen) {
    for (const [index, line] of lines.entries()) {
      const complaint = check(line)
      if (complaint !== null) complaints.push(`${name}:${index + 1} ${complaint}`)
    }
  }
  if (complaints.length > 0) assert.unreachable(complaints.join('\n'))
}

test('there are files to look at', () => {
  assert.ok(files.length > 50)
  assert.ok(files.some((file) => file.name === 'package.json'))
})

test('no file names a folder of the machine it was written on', () => {
  // Put together here, so that this file passes its own test.
  const folders = ['work', 'root', 'home/user'].map((folder) => ['', folder, ''].join('/'))
  forEachLine(files, (line) => {
    const folder = folders.find((candidate) => line.includes(candidate))
    return folder === undefined ? null : `contains ${folder}`
  })
})

test('package-lock.json names no registry', () => {
  const lock = files.filter((file) => file.name === 'package-lock.json')
  assert.is(lock.length, 1)
  forEachLine(lock, (line) =>
    /"resolved": "https?:/.test(line) ? `has a resolved field: ${line.trim()}` : null,
  )
})

test('whatever is left to do names its issue', () => {
  const words = ['TO', 'FIX', 'XX'].map((start, index) => start + ['DO', 'ME', 'X'][index])
  const pattern = new RegExp(`\\b(${words.join('|')})\\b(?!.*#\\d+)`)
  const code = files.filter((file) => /\.([cm]?[jt]s|sh|ya?ml)$/.test(file.name))
  forEachLine(code, (line) => (pattern.test(line) ? `names no issue: ${line.trim()}` : null))
})

test('no line ends in a space and no file lacks its last newline', () => {
  const ours = files.filter((file) => !file.name.startsWith('test/fixtures/'))
  forEachLine(ours, (line) => (/[ \t\r]$/.test(line) && !/\S {2}$/.test(line) ? 'ends in white space' : null))
  const endless = ours
    .filter((file) => file.lines.length > 1 && file.lines.at(-1) !== '')
    .map((file) => file.name)
  assert.equal(endless, [])
})

test('every test file runs what it registers, all of it, through the harness', () => {
  const complaints: string[] = []
  for (const { name, lines } of files.filter((file) => /^test\/.*\.test\.ts$/.test(file.name))) {
    const last = lines.findLast((line) => line.trim() !== '')
    if (!/\.run\(\)$/.test(last ?? '')) complaints.push(`${name} does not end in .run()`)
    if (lines.some((line) => /^\s*test\.only\(/.test(line))) complaints.push(`${name} runs one test only`)
    if (lines.some((line) => /^import .* from 'uvu/.test(line)))
      complaints.push(`${name} bypasses the harness`)
  }
  if (complaints.length > 0) assert.unreachable(complaints.join('\n'))
})

test('no comment of the library is wider than 120 columns, which the formatter does not see to', () => {
  const sources = files.filter(({ name }) => name.startsWith('src/') && name.endsWith('.ts'))
  forEachLine(sources, (line) =>
    /^ *(\/\/|\*|\/\*\*)/.test(line) && line.length > 120 ? `has ${line.length} columns` : null,
  )
})

test.run()
