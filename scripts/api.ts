// Writes docs/api.md.
//
//   tsx scripts/api.ts           writes the file
//   tsx scripts/api.ts --check   fails when the file is stale

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { apiDocument } from './api-document.js'

const target = join(fileURLToPath(new URL('..', import.meta.url)), 'docs', 'api.md')
const text = apiDocument()
if (process.argv.includes('--check')) {
  if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
    console.error('docs/api.md is stale: run tsx scripts/api.ts')
    process.exitCode = 1
  }
} else {
  writeFileSync(target, text)
  console.log(`wrote ${relative(process.cwd(), target)}`)
}
