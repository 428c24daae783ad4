// Which entries of a tree are copied. Patterns are matched by rules of our own, the same on every Node.

import { invalidType, invalidValue } from '../../syscalls/argument-errors.js'

/** What an entry of a tree is. */
export type EntryKind = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'device'

/**
 * Selects entries of a tree by their path relative to its root (`lib/index.js`):
 *
 * - a glob. `*` and `?` stand for characters other than `/`, `**` for any number of directories, `[a-z]` and
 *   `[!a-z]` for one character, `{a,b}` for either; `\` makes the next character literal. A glob without `/`
 *   is matched against the name alone, at any depth; a `/` at its end limits it to directories.
 * - a RegExp, matched against the path;
 * - a function.
 */
export type EntryFilter = string | RegExp | ((path: string, kind: EntryKind) => boolean)

type Matcher = (path: string, kind: EntryKind) => boolean

/** What becomes of an entry. */
export interface EntryChoice {
  /** False for what is left out; of a directory, with all that is in it. */
  admits(path: string, kind: EntryKind): boolean
  /** With `include`: a directory is made only when something in it is copied. */
  readonly picksFiles: boolean
}

/**
 * @param include - Without it everything is copied; with it, of all but directories, what one of the filters
 *   picks.
 * @param exclude - What one of them picks is left out, whatever `include` says.
 */
export function entryChoice(
  include: EntryFilter | readonly EntryFilter[] | undefined,
  exclude: EntryFilter | readonly EntryFilter[] | undefined,
): EntryChoice {
  const wanted = matchers('options.include', include)
  const unwanted = matchers('options.exclude', exclude)
  const picksFiles = wanted.length > 0
  return {
    picksFiles,
    admits(path, kind) {
      if (unwanted.some((matches) => matches(path, kind))) return false
      return !picksFiles || kind === 'directory' || wanted.some((matches) => matches(path, kind))
    },
  }
}

function matchers(name: string, given: EntryFilter | readonly EntryFilter[] | undefined): Matcher[] {
  if (given === undefined) return []
  const list = Array.isArray(given) ? given : [given]
  return list.map((filter: EntryFilter) => {
    if (typeof filter === 'function') return (path, kind) => Boolean(filter(path, kind))
    if (filter instanceof RegExp) {
      // A global or sticky one would go on where its last match ended.
      const pattern = new RegExp(filter.source, filter.flags.replace(/[gy]/g, ''))
      return (path) => pattern.test(path)
    }
    if (typeof filter !== 'string') {
      throw invalidType(name, 'a string, a RegExp, a function or an array of these', filter)
    }
    return globMatcher(name, filter)
  })
}

function globMatcher(name: string, glob: string): Matcher {
  const wantsDirectory = glob.endsWith('/')
  const body = glob.replace(/^\/|\/$/g, '')
  if (body === '') throw invalidValue(name, glob, 'is an empty pattern')
  const source = globSource(name, glob, body)
  const pattern = new RegExp(`^${source}$`, 'su')
  const takesName = !glob.slice(0, wantsDirectory ? -1 : undefined).includes('/')
  return (path, kind) => {
    if (wantsDirectory && kind !== 'directory') return false
    return pattern.test(takesName ? path.slice(path.lastIndexOf('/') + 1) : path)
  }
}

/** The regular expression for a glob. */
function globSource(name: string, glob: string, body: string): string {
  let source = ''
  let braces = 0
  for (let at = 0; at < body.length; at++) {
    const rest = body.slice(at)
    const character = String.fromCodePoint(body.codePointAt(at)!)
    if (rest.startsWith('**/') && (at === 0 || body[at - 1] === '/')) {
      source += '(?:[^/]+/)*'
      at += 2
    } else if (rest === '**' && (at === 0 || body[at - 1] === '/')) {
      source += '.*'
      at++
    } else if (character === '*') source += '[^/]*'
    else if (character === '?') source += '[^/]'
    else if (character === '[') {
      const set = /^\[([!^]?)(\]?(?:\\.|[^\]\\])*)\]/s.exec(rest)
      if (set === null) throw invalidValue(name, glob, 'has a [ without a ]')
      const [whole, negation, members] = set as unknown as [string, string, string]
      source += `(?!/)[${negation === '' ? '' : '^'}${members.replace(/\\?([\]\\[^&~|])/g, '\\$1')}]`
      at += whole.length - 1
    } else if (character === '{') {
      source += '(?:'
      braces++
    } else if (character === '}' && braces > 0) {
      source += ')'
      braces--
    } else if (character === ',' && braces > 0) source += '|'
    else if (character === '\\' && at + 1 < body.length) {
      const next = String.fromCodePoint(body.codePointAt(++at)!)
      source += escaped(next)
      at += next.length - 1
    } else {
      source += escaped(character)
      at += character.length - 1
    }
  }
  if (braces > 0) throw invalidValue(name, glob, 'has a { without a }')
  return source
}

function escaped(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&')
}
