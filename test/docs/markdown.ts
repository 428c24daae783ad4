// The documents of the project, and what tests ask of one: its headings, links and code.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Paths of all documents, from the project's folder. */
export function documents(): string[] {
  const isDocument = (name: string): boolean => name.endsWith('.md')
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter(isDocument)
  const top = readdirSync(root).filter(isDocument)
  return [...top, ...docs.map((name) => join('docs', name))].sort()
}

export function read(document: string): string {
  return readFileSync(join(root, document), 'utf8')
}

export interface CodeBlock {
  readonly language: string
  /** What follows the language. */
  readonly info: string
  readonly line: number
  readonly text: string
}

export function codeBlocks(text: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  for (const match of text.matchAll(/^```(\w*)([^\n]*)\n([\s\S]*?)^```$/gm)) {
    const line = text.slice(0, match.index).split('\n').length
    blocks.push({ language: match[1]!, info: match[2]!.trim(), line, text: match[3]! })
  }
  return blocks
}

const withoutCode = (text: string): string =>
  text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ' '))

/** Targets of its links. */
export function links(text: string): string[] {
  return [...withoutCode(text).matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].map((match) => match[1]!)
}

/** What its headings are linked to by, as GitHub makes it: a second one of a name has a number. */
export function anchors(text: string): Set<string> {
  const found = new Set<string>()
  for (const [, heading] of text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)) {
    const plain = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const slug = plain.replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')
    let anchor = slug
    for (let count = 1; found.has(anchor); count++) anchor = `${slug}-${count}`
    found.add(anchor)
  }
  return found
}
