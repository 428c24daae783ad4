// The programs in the documents run: every block marked `js` that imports from the package, in a folder with the files
// that they speak of. A block that cannot stand alone is marked `js fragment`; what imports nothing is a fragment too.

import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { entryPoints } from '../../scripts/api-sections.js'
import { assert, needs, test } from '../harness.js'
import { codeBlocks, documents, read, root } from './markdown.js'

const TIMEOUT_MS = 30_000

const folder = mkdtempSync(join(tmpdir(), 'uring-docs-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
mkdirSync(join(folder, 'posts'))
writeFileSync(join(folder, 'posts', 'first.md'), '# First\n')
writeFileSync(join(folder, 'posts', 'second.md'), '# Second\n')
// Two states of a file.
const image = Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => (index * 7 + (index >> 9)) & 255))
writeFileSync(join(folder, 'old.img'), image)
writeFileSync(join(folder, 'new.img'), Buffer.concat([image.subarray(4096), Buffer.from('and more')]))

symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
const sources = Object.fromEntries(entryPoints.map(({ name, source }) => [name, join(root, source)]))

/** Runs a program of a document in the folder. @returns What it printed. */
async function run(name: string, text: string): Promise<string> {
  const program = join(folder, `${name}.mjs`)
  const entry = join(folder, `${name}.source.mjs`)
  writeFileSync(entry, text)
  await build({
    entryPoints: [entry],
    outfile: program,
    bundle: true,
    // The longer names first: an alias is that of everything below it, too.
    alias: Object.fromEntries(Object.entries(sources).reverse()),
    nodePaths: [join(root, 'node_modules')],
    banner: { js: "import { createRequire as r } from 'node:module'; const require = r(import.meta.url);" },
    format: 'esm',
    platform: 'node',
    // Lowers `await using`, which Node 20 lacks.
    target: 'node20.11',
    logLevel: 'silent',
  })
  const child = spawn(process.execPath, [program], { cwd: folder, timeout: TIMEOUT_MS })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const ending = await new Promise<string>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(String(signal ?? code)))
  })
  assert.is(ending, '0', `${output}\n${text}`)
  return output
}

let programs = 0
for (const document of documents()) {
  for (const { language, info, line, text } of codeBlocks(read(document))) {
    if (language !== 'js' || info === 'fragment' || !/from 'uring(\/\w+)?'/.test(text)) continue
    programs++
    const name = `program-${programs}`
    test(
      `the program in line ${line} of ${document} runs`,
      needs({ linux: '5.6' }, async () => {
        const output = await run(name, text)
        if (text.includes('console.log(')) assert.ok(output.length > 0, 'it printed nothing')
      }),
    )
  }
}

test('there are programs in the documents', () => {
  assert.ok(programs >= 8, `only ${programs}`)
})

test.run()
