// The text of docs/api.md: every export of every entry point, with its signature and its doc comment, read from the
// sources by the type checker. api.ts writes it.

import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Node, SyntaxKind } from 'typescript/unstable/ast'
import { API, type Checker, type Symbol as Named, type Project, SymbolFlags } from 'typescript/unstable/sync'
import { sinceOf } from '../src/ring/index.js'
import { type EntryPoint, entryPoints, titles } from './api-sections.js'

const root = fileURLToPath(new URL('..', import.meta.url))
/** Longer signatures are broken into lines. */
const LINE_WIDTH = 110

/** Members that JavaScript asks for and nobody calls by name. */
const UNLISTED = /^(constructor|toString|prototype|.*#.*)$/

/** Classes whose operations are described elsewhere, and where. */
const SHARED_MEMBERS: Readonly<Record<string, string>> = {
  LinkedOperations: 'It has the operations of [Uring](#uring), with the same arguments.',
}

interface Reader {
  readonly project: Project
  readonly checker: Checker
}

interface Exported {
  readonly name: string
  readonly symbol: Named
  readonly nodes: readonly Node[]
  /** The file that declares it, within `src`. */
  readonly file: string
}

/** A declaration on one line. */
const flat = (text: string): string =>
  text
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    // Members of object types, which the sources separate by lines.
    .replace(/([^{;,|&(<>=\s])\s*\n\s*(?=(?:readonly )?\w+\??:)/g, '$1; ')
    // An empty options object by default says no more than that it may be left out.
    .replace(/\boptions: ((?:[^=]|=>)*?) = (?:NO_OPTIONS|\{\})/g, 'options?: $1')
    .replace(/\s+/g, ' ')
    .replace(/([([]) /g, '$1')
    .replace(/,? ([)\]])/g, '$1')
    .trim()

/** Doc comments are wrapped for the source; here a paragraph is a line, as lists want it. */
function unwrap(text: string): string {
  // Code keeps its lines; an example is shown at the places that it is no paragraph of.
  const pieces = text.trim().split(/(^```[\s\S]*?^```$)/m)
  return pieces
    .map((piece) => {
      if (piece.startsWith('```')) return piece
      const paragraphs = piece.trim().split(/\n\s*\n/)
      return paragraphs.map((lines) => lines.replace(/\n(?!\s*[-*|] )\s*/g, ' ')).join('\n\n')
    })
    .join('\n\n')
    .trim()
}

function exportsOf({ project, checker }: Reader, entry: EntryPoint): Exported[] {
  const file = project.program.getSourceFile(join(root, entry.source))
  if (file === undefined) throw new Error(`${entry.source} is not part of the project`)
  const module = checker.getSymbolAtLocation(file)
  if (module === undefined) return []
  return checker.getExportsOfModule(module).map((exported) => {
    const isAlias = (exported.flags & SymbolFlags.Alias) !== 0
    const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported
    const nodes = symbol.declarations.flatMap((handle) => handle.resolve(project) ?? [])
    if (nodes.length === 0) throw new Error(`${exported.name} of ${entry.name} is declared nowhere`)
    const path = nodes[0]!.getSourceFile().fileName
    return { name: exported.name, symbol, nodes, file: relative(join(root, 'src'), path) }
  })
}

/** The declaration without its body and modifiers, on one line. */
function signature(node: Node, name: string): string {
  const source = node.getSourceFile().text
  const { body } = node as { body?: Node }
  const text = flat(source.slice(node.getStart(), body === undefined ? node.getEnd() : body.getFullStart()))
  return text
    .replace(/^(export |declare |async |function |public |override |abstract )+/, '')
    .replace(/;$/, '')
    .replace(/^default /, `${name} `)
}

/** A signature that is too long for a line, one parameter a line. */
function broken(text: string): string {
  if (text.length <= LINE_WIDTH) return text
  const open = text.indexOf('(')
  if (open < 0) return text.replace(/ (=> |\| )/g, '\n  $1')
  let depth = 0
  let line = ''
  const lines: string[] = []
  for (let at = open + 1; at < text.length; at++) {
    const character = text[at]!
    if ('([{<'.includes(character)) depth++
    else if (character === '>' && text[at - 1] !== '=') depth--
    else if (')]}'.includes(character)) {
      if (depth === 0) {
        lines.push(`  ${line.trim()},`)
        return `${text.slice(0, open + 1)}\n${lines.join('\n')}\n${text.slice(at)}`
      }
      depth--
    }
    if (character === ',' && depth === 0) {
      lines.push(`  ${line.trim()},`)
      line = ''
    } else line += character
  }
  return text
}

const code = (text: string): string => `\`\`\`ts\n${text}\n\`\`\``

/** The doc comment: text, parameters, result, errors, where to read on. */
function documentation(symbol: Named, checker: Checker): string {
  const parts: string[] = []
  const text = symbol.getDocumentationComment(checker)
  if (text !== '') parts.push(unwrap(text))
  const parameters: string[] = []
  for (const { name, text: content = '' } of symbol.getJsDocTags(checker)) {
    const words = unwrap(String(content))
    if (name === 'param') {
      const [, parameter, meaning] = /^(\S+)\s*-?\s*([\s\S]*)$/.exec(words) ?? []
      parameters.push(`- \`${parameter}\`: ${meaning}`)
    } else if (name === 'returns') parts.push(`Returns: ${words}`)
    else if (name === 'throws') parts.push(`Throws: ${words}`)
    else if (name === 'see') {
      // The checker takes the name of a man page for that of a symbol.
      parts.push(`See ${words.replace(/(\w) \((\d\w*)\)/g, '$1($2)')}`)
    }
  }
  if (parameters.length > 0) parts.splice(text === '' ? 0 : 1, 0, parameters.join('\n'))
  return parts.join('\n\n')
}

const isInternal = (symbol: Named, checker: Checker): boolean =>
  symbol.getJsDocTags(checker).some(({ name }) => name === 'internal')

function isHidden(node: Node): boolean {
  const modifiers = (node as { modifiers?: readonly Node[] }).modifiers ?? []
  return modifiers.some(
    ({ kind }) => kind === SyntaxKind.PrivateKeyword || kind === SyntaxKind.ProtectedKeyword,
  )
}

interface Member {
  readonly name: string
  readonly isStatic: boolean
  readonly nodes: readonly Node[]
  readonly text: string
  /** What the checker takes it for. */
  readonly valueType: string
}

/** Whether a member is one of the driver's operations. */
function isShared(member: Named): boolean {
  return member.declarations.some(({ path }) => path.includes('/src/runtime/operations/'))
}

/** The public members of a class or interface that this project declares, those of its bases included. */
function membersOf(exported: Exported, { project, checker }: Reader): Member[] {
  const { symbol } = exported
  const all = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol))
  const instance = exported.name in SHARED_MEMBERS ? all.filter((member) => !isShared(member)) : all
  const ofClass = symbol.flags & SymbolFlags.Class ? [...symbol.getExports().values()] : []
  const candidates = [
    ...ofClass.map((member) => ({ member, isStatic: true })),
    ...instance.map((member) => ({ member, isStatic: false })),
  ]
  return candidates.flatMap(({ member, isStatic }) => {
    const nodes = member.declarations.flatMap((handle) => handle.resolve(project) ?? [])
    const own = nodes.filter(
      (node) => node.getSourceFile().fileName.startsWith(join(root, 'src')) && !isHidden(node),
    )
    if (own.length === 0 || isInternal(member, checker)) return []
    if (UNLISTED.test(member.name)) return []
    const { name = member.name } = /^(?<name>\[[^\]]+\])/.exec(flat(own[0]!.getText()))?.groups ?? {}
    const type = checker.getTypeOfSymbol(member)
    const valueType = type === undefined ? 'unknown' : checker.typeToString(type)
    return [{ name, isStatic, nodes: own, text: documentation(member, checker), valueType }]
  })
}

const isFunctionLike = ({ kind }: Node): boolean =>
  kind === SyntaxKind.MethodDeclaration ||
  kind === SyntaxKind.MethodSignature ||
  kind === SyntaxKind.FunctionDeclaration

const isAccessor = ({ kind }: Node): boolean =>
  kind === SyntaxKind.GetAccessor || kind === SyntaxKind.SetAccessor

function memberSignatures({ nodes, isStatic, name, valueType }: Member): string[] {
  // Of overloads, those without a body are the interface.
  const bodiless = nodes.filter(
    (node) => isFunctionLike(node) && (node as { body?: Node }).body === undefined,
  )
  const shown = bodiless.length > 0 ? bodiless : nodes
  if (shown.every(isAccessor)) {
    const getter = shown.find(({ kind }) => kind === SyntaxKind.GetAccessor) ?? shown[0]!
    const type = /\): (.*)$/.exec(signature(getter, name))?.[1] ?? 'unknown'
    const isReadonly = !shown.some(({ kind }) => kind === SyntaxKind.SetAccessor)
    return [`${isStatic ? 'static ' : ''}${isReadonly ? 'readonly ' : ''}${name}: ${type}`]
  }
  return shown.map((node) => {
    const text = signature(node, name)
    const { type, initializer } = node as { type?: Node; initializer?: Node }
    if (isFunctionLike(node) || initializer === undefined) return text
    const head = text.replace(/ = .*$/, '')
    // A property with a value has the type in its declaration, or is a function, or has the type of its value.
    return type === undefined ? `${head}: ${valueType}` : head
  })
}

/** Functions have a block each; what has no text of its own shares a list with the properties. */
function memberList(members: readonly Member[]): string {
  return members
    .map((member) => {
      const signatures = memberSignatures(member)
      const text = member.text.replace(/\n/g, '\n  ').replace(/ +$/gm, '')
      return `- ${signatures.map((one) => `\`${one}\``).join('  \n  ')}${text === '' ? '' : `  \n  ${text}`}`
    })
    .join('\n')
}

/** Why the function is not described: it is another package's, by another name. */
function delegatedText(exported: Exported): string | null {
  if (exported.file !== 'fs/delegated.ts') return null
  return `Node's own: \`fsPromises.${exported.name}\`. io_uring has no operation for it.`
}

function section(exported: Exported, reader: Reader): string {
  const { name, symbol, nodes } = exported
  const { checker } = reader
  const heading = `#### ${name}`
  const delegated = delegatedText(exported)
  if (delegated !== null) return `${heading}\n\n${delegated}`
  const parts = [heading]
  const text = documentation(symbol, checker)
  const bodiless = nodes.filter((node) => (node as { body?: Node }).body === undefined)
  if (symbol.flags & SymbolFlags.Class) {
    const constructors = publicConstructors(nodes, name)
    const bases = /^[^{]*/
      .exec(flat(nodes[0]!.getText()))![0]
      .replace(/^export /, '')
      .trim()
    const shared = SHARED_MEMBERS[name] ?? ''
    parts.push(
      code([bases, ...constructors].join('\n')),
      text,
      shared,
      memberList(membersOf(exported, reader)),
    )
  } else if (symbol.flags & SymbolFlags.Interface) {
    const head = /^[^{]*/
      .exec(flat(nodes[0]!.getText()))![0]
      .replace(/^export /, '')
      .trim()
    parts.push(code(head), text, memberList(membersOf(exported, reader)))
  } else if (symbol.flags & SymbolFlags.Function) {
    const shown = nodes.length > 1 && bodiless.length > 0 ? bodiless : nodes
    parts.push(code(shown.map((node) => broken(signature(node, name))).join('\n')), text)
  } else if (symbol.flags & SymbolFlags.TypeAlias) {
    parts.push(code(broken(signature(nodes[0]!, name))), text)
  } else {
    const type = checker.getTypeOfSymbol(symbol)
    const shown = type === undefined ? 'unknown' : checker.typeToString(type)
    parts.push(code(broken(`const ${name}: ${shown}`)), text)
  }
  return parts.filter((part) => part !== '').join('\n\n')
}

function publicConstructors(nodes: readonly Node[], name: string): string[] {
  const found: string[] = []
  for (const node of nodes) {
    node.forEachChild((child) => {
      if (child.kind !== SyntaxKind.Constructor || isHidden(child)) return
      const comment = child.getSourceFile().text.slice(child.getFullStart(), child.getStart())
      if (comment.includes('@internal')) return
      found.push(broken(signature(child, name).replace(/^constructor/, `new ${name}`)))
    })
  }
  return found
}

/** Constants of the kernel and layouts of its structs: a line each, for they are hundreds. */
function isKernelConstant({ name, file }: Exported): boolean {
  return file.startsWith('syscalls/abi/') && /^[A-Z][A-Z0-9_]*$/.test(name)
}

function constantTable(constants: readonly Exported[], { checker }: Reader): string {
  const rows = constants.map(({ name, symbol, nodes }) => {
    const text = unwrap(symbol.getDocumentationComment(checker)).replaceAll('|', '\\|').replace(/\s+/g, ' ')
    const initializer = (nodes[0] as { initializer?: Node }).initializer?.getText() ?? ''
    const layout = /^defineStruct\(\s*'([^']+)',\s*(\d+)/.exec(initializer)
    const value = layout ? `\`struct ${layout[1]}\`, ${layout[2]} bytes` : `\`${flat(initializer)}\``
    return `| \`${name}\` | ${value} | ${sinceOf(name) ?? ''} | ${text} |`
  })
  return ['| constant | value | Linux | |', '|---|---|---|---|', ...rows].join('\n')
}

/** The comment that opens a file. */
function openingComment(file: string): string {
  const lines = readFileSync(join(root, 'src', file), 'utf8').split('\n')
  const end = lines.findIndex((line) => !line.startsWith('//'))
  const paragraph = lines.slice(0, end).map((line) => line.replace(/^\/\/ ?/, ''))
  return unwrap(paragraph.join('\n'))
}

function titleOf(file: string): string {
  const words = file.replace(/^.*\//, '').replace(/\.ts$/, '').replaceAll('-', ' ')
  const isConstant = file.startsWith('syscalls/abi/')
  return titles[file] ?? (isConstant ? `Constants: ${words}` : `${words[0]!.toUpperCase()}${words.slice(1)}`)
}

function entrySection(entry: EntryPoint, described: Map<string, string>, reader: Reader): string {
  const parts = [`## ${entry.name}`, entry.intro]
  const byFile = new Map<string, Exported[]>()
  const elsewhere: string[] = []
  for (const exported of exportsOf(reader, entry)) {
    if (exported.name === 'default') continue
    // Two entry points may export the same thing: it is described once.
    const known = described.get(exported.name)
    if (known === exported.file) {
      elsewhere.push(`[${exported.name}](#${exported.name.toLowerCase()})`)
      continue
    }
    described.set(exported.name, exported.file)
    const group = byFile.get(exported.file) ?? []
    group.push(exported)
    byFile.set(exported.file, group)
  }
  if (elsewhere.length > 0) parts.push(`Also exported here: ${elsewhere.join(', ')}.`)
  // Constants come last: they are looked up, not read.
  const files = [...byFile].sort(([a], [b]) => Number(a.includes('/abi/')) - Number(b.includes('/abi/')))
  for (const [file, group] of files) {
    parts.push(`### ${titleOf(file)}`, openingComment(file))
    parts.push(...group.filter((one) => !isKernelConstant(one)).map((one) => section(one, reader)))
    const constants = group.filter(isKernelConstant)
    if (constants.length > 0) parts.push(constantTable(constants, reader))
  }
  return parts.join('\n\n')
}

/** Calls `use` with the checker of this project. */
function withChecker<T>(use: (reader: Reader) => T): T {
  const api = new API({ cwd: root })
  try {
    const config = join(root, 'tsconfig.json')
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config)
    if (project === undefined) throw new Error('tsconfig.json cannot be opened')
    return use({ project, checker: project.checker })
  } finally {
    api.close()
  }
}

/** The names that an entry point exports, types included. */
export function exportedNames(): Map<EntryPoint, string[]> {
  return withChecker(
    (reader) =>
      new Map(entryPoints.map((entry) => [entry, exportsOf(reader, entry).map(({ name }) => name)])),
  )
}

/** The whole document. */
export function apiDocument(): string {
  const described = new Map<string, string>()
  const sections = withChecker((reader) => entryPoints.map((entry) => entrySection(entry, described, reader)))
  const links = entryPoints.map(({ name }) => `[${name}](#${name.replace('/', '')})`).join(' · ')
  const parts = [
    '<!-- Generated by `tsx scripts/api.ts` from the sources and their doc comments. -->',
    '# API reference',
    links,
    `What is named \`@internal\` in the sources is not part of the interface. Kernel releases ("Linux 6.0") are those that
brought a feature; it is probed, never guessed from the release.`,
    ...sections,
  ]
  return `${parts
    .join('\n\n')
    .replace(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`
}
