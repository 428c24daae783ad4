// `copyTree`: a directory with everything in it. A new tree is built beside the target and renamed when it is complete;
// into a directory that is there already, every file comes whole or not at all.

import { readFileSync } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { RingReport } from '../../config/index.js'
import { systemError } from '../../ring/index.js'
import type { PathLike, Uring } from '../../runtime/index.js'
import { checkBoolean, checkInteger, checkMembers, invalidType } from '../../syscalls/argument-errors.js'
import { applyAttributes, modeOf } from './attributes.js'
import { CopyError } from './errors.js'
import type { CopyMethod } from './job.js'
import { bytesOf } from './latin1-paths.js'
import { COPY_OPTION_NAMES, type CopyOptions, copySettings, textPath } from './options.js'
import { ProgressMeter } from './progress.js'
import { CopySession } from './session.js'
import { StagedTree } from './staging.js'
import { type FileStat, identityOf, isDirectory, statIfPresent, statPath } from './stat.js'
import { copyFileEntry, LinkTable } from './tree-entries.js'
import { FileQueue, Gate } from './tree-files.js'
import { type EntryFilter, type EntryKind, entryChoice } from './tree-filter.js'
import { Lanes } from './tree-lanes.js'
import { namesIn, TreeWalk } from './tree-walk.js'
import { type Folder, sourceOf, type TreeSettings, TreeWork } from './tree-work.js'
import { hasDefaultAcl } from './xattrs.js'

/** How to copy a tree. */
export interface CopyTreeOptions extends CopyOptions {
  /** Copy only those files, symlinks and so on that one of these picks, and the directories that they are in. */
  readonly include?: EntryFilter | readonly EntryFilter[] | undefined
  /** Leave out what one of these picks; of a directory, everything in it. */
  readonly exclude?: EntryFilter | readonly EntryFilter[] | undefined
  /** Copy what symlinks point to, instead of them. One that leads back to where it lies is an error. Default false. */
  readonly dereference?: boolean | undefined
  /**
   * `'throw'` (the default): the first entry that cannot be copied ends the copy. `'collect'`: the others are
   * copied, and the result has the errors. A full disk ends the copy either way.
   */
  readonly errors?: 'throw' | 'collect' | undefined
  /** Only find out what there is to copy. Default false. */
  readonly dryRun?: boolean | undefined
  /** Small files that are in progress at once: 1 to 512. Default 64. */
  readonly filesInFlight?: number | undefined
  /** Called with every entry that is found and not left out, by its path relative to the root. */
  readonly onEntry?: ((path: string, kind: EntryKind) => void) | undefined
}

/** What was copied. */
export interface CopyTreeResult {
  readonly files: number
  readonly directories: number
  readonly symlinks: number
  /** Names of files that were copied under another name. */
  readonly hardLinks: number
  /** FIFOs, sockets and devices. */
  readonly specials: number
  /** Entries left out, by `exclude`, `include` or for being there already. */
  readonly skipped: number
  /** Bytes of data, holes not counted. */
  readonly bytes: number
  readonly holeBytes: number
  /** How many files were copied how. */
  readonly methods: Readonly<Record<CopyMethod, number>>
  /** Times the ring entered the kernel, and the most small files that were in progress at once. */
  readonly enters: number
  readonly peakInFlight: number
  /** What could not be copied, with `errors: 'collect'`. */
  readonly errors: readonly Error[]
  readonly milliseconds: number
  /** How the ring was set up; null when there is none, or none was needed. */
  readonly ring: RingReport | null
}

const TREE_OPTION_NAMES = [
  ...COPY_OPTION_NAMES,
  'include',
  'exclude',
  'dereference',
  'errors',
  'dryRun',
  'filesInFlight',
  'onEntry',
] as const

const FILES_IN_FLIGHT = 64
/**
 * Why there can be no second ring where there is a first: memory, descriptors, or a permission that was
 * withdrawn.
 */
const WITHOUT_LANES = new Set([
  'ENOMEM',
  'EMFILE',
  'ENFILE',
  'EAGAIN',
  'EPERM',
  'ENOSYS',
  'ERR_URING_UNAVAILABLE',
])
/** Files and symlinks that go the careful way at a time. */
const CAREFUL = 8
/** Directories whose attributes are set in one turn of the event loop. */
const FOLDERS_IN_A_TURN = 256

/**
 * Copies a directory. An existing target is merged with the tree: what is in both is replaced, file by file.
 *
 * @returns What was copied. Rejects with SystemError with `path`; CopyError; AbortError. Then a new target
 *   does not exist, and each file of an existing one is either a complete copy or as it was. Linux 5.17 for
 *   many files at once on the ring.
 * @throws TypeError, RangeError for bad arguments.
 */
export async function copyTree(
  source: PathLike,
  target: PathLike,
  options: CopyTreeOptions = {},
): Promise<CopyTreeResult> {
  checkMembers('options', options, TREE_OPTION_NAMES)
  const from = textPath('source', source)
  const to = textPath('target', target)
  const settings = treeSettings(options)
  const meter = new ProgressMeter(options)
  const started = performance.now()
  const session = new CopySession(settings)
  const work = new TreeWork(settings, session, meter, umaskNow())
  try {
    const stat = await statPath(from.text, true)
    if (!isDirectory(stat)) throw new CopyError('ERR_COPY_KIND', 'The source is not a directory', from.text)
    const root = (await realpathOf(from.text)).latin1
    await copyRoot(work, root, stat, to.text)
    meter.end()
    return {
      ...work.counts,
      enters: session.enters,
      peakInFlight: work.peakInFlight,
      errors: work.errors,
      milliseconds: performance.now() - started,
      ring: session.ringReport,
    }
  } finally {
    await session.close()
  }
}

function treeSettings(options: CopyTreeOptions): TreeSettings {
  const { errors = 'throw', onEntry } = options
  if (errors !== 'throw' && errors !== 'collect') {
    throw invalidType('options.errors', "'throw' or 'collect'", errors)
  }
  if (onEntry !== undefined && typeof onEntry !== 'function') {
    throw invalidType('options.onEntry', 'a function', onEntry)
  }
  const filesInFlight = options.filesInFlight ?? FILES_IN_FLIGHT
  return {
    ...copySettings(options),
    choice: entryChoice(options.include, options.exclude),
    dereference: checkBoolean('options.dereference', options.dereference ?? false),
    collect: errors === 'collect',
    dryRun: checkBoolean('options.dryRun', options.dryRun ?? false),
    filesInFlight: checkInteger('options.filesInFlight', filesInFlight, 1, 512),
    onEntry,
  }
}

async function realpathOf(path: string): Promise<{ text: string; latin1: string }> {
  const bytes = await realpath(path, { encoding: 'buffer' })
  return { text: bytes.toString(), latin1: bytes.toString('latin1') }
}

async function copyRoot(work: TreeWork, source: string, stat: FileStat, target: string): Promise<void> {
  const { dryRun } = work.settings
  const old = await statIfPresent(target, true)
  if (old !== null && !isDirectory(old)) {
    throw new CopyError('ERR_COPY_KIND', 'The target is not a directory', target)
  }
  if (old === null && (await lstat(target).catch(() => null)) !== null) {
    throw systemError(-2, 'open', { path: target, hint: 'it is a symlink that leads nowhere' })
  }
  await refuseInside(stat, target, old)
  const folder = (path: string, existing: ReadonlySet<string> | null): Folder => ({
    source: source === '/' ? '' : source,
    target: path,
    relative: '',
    stat,
    parent: null,
    existing,
    hasAcl: false,
    made: Promise.resolve(),
  })
  if (dryRun) {
    await copyInto(work, folder(Buffer.from(target).toString('latin1'), null))
    return
  }
  if (old !== null) {
    const path = (await realpathOf(target)).latin1
    const root = folder(path, new Set(await namesIn(path)))
    root.hasAcl = hasDefaultAcl(path)
    work.target = identityOf(old)
    await copyInto(work, root)
    return
  }
  const parent = (await realpathOf(dirname(resolve(target)))).latin1
  const name = Buffer.from(resolve(target)).toString('latin1').split('/').at(-1)!
  const staged = await StagedTree.make(parent === '/' ? `/${name}` : `${parent}/${name}`)
  try {
    const root = folder(staged.temporary, null)
    root.hasAcl = hasDefaultAcl(staged.temporary)
    work.folders.push(root)
    work.target = identityOf(await statPath(bytesOf(staged.temporary), false))
    await copyInto(work, root)
    await staged.commit()
  } finally {
    // Does nothing after a commit.
    await staged.discard()
  }
}

/** A tree cannot be copied onto or into itself: the copy would find itself in what it reads. */
async function refuseInside(source: FileStat, target: string, old: FileStat | null): Promise<void> {
  const inside = (): CopyError =>
    new CopyError('ERR_COPY_INTO_ITSELF', 'The target is the source, or lies in it', target)
  const identity = identityOf(source)
  if (old !== null && identityOf(old) === identity) throw inside()
  let path = old === null ? resolve(target) : await realpath(target)
  path = old === null ? await realpath(dirname(path)).catch(() => '/') : dirname(path)
  for (;;) {
    const above = await statIfPresent(path, true)
    if (above !== null && identityOf(above) === identity) throw inside()
    if (path === '/') return
    path = dirname(path)
  }
}

async function copyInto(work: TreeWork, root: Folder): Promise<void> {
  const { dryRun, filesInFlight } = work.settings
  const queue = new FileQueue(work)
  const gate = new Gate(CAREFUL)
  const links = new LinkTable()
  const walk = new TreeWalk(work, queue, gate)
  const ring = dryRun || !work.session.canChain ? null : work.session.ring
  const lanes = ring === null ? null : lanesOn(ring, { work, queue, links, gate }, filesInFlight)
  work.meter.totalEntries++
  work.counts.directories++
  work.entryDone()
  queue.onFiles = lanes?.wake ?? loops(work, queue, links)
  try {
    await work.run(() => walk.start(root))
  } finally {
    await lanes?.end()
  }
  if (!dryRun) await finishFolders(work)
}

/** The ring's lanes; null where there is no second ring to be had. */
function lanesOn(ring: Uring, share: ConstructorParameters<typeof Lanes>[1], count: number): Lanes | null {
  try {
    return new Lanes(ring, share, count)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === undefined || !WITHOUT_LANES.has(code)) throw error
    return null
  }
}

/** Without lanes: as many files at a time as libuv's pool has use for, each step awaited. */
function loops(work: TreeWork, queue: FileQueue, links: LinkTable): () => void {
  let running = 0
  const loop = async (): Promise<void> => {
    for (let entry = queue.next(); entry !== null; entry = queue.next()) {
      try {
        if (work.settings.dryRun) {
          const stat = await statPath(bytesOf(sourceOf(entry)), work.settings.dereference)
          work.found(stat.size)
          work.counts.files++
          work.counts.bytes += stat.size
          work.entryDone()
        } else await copyFileEntry(work, links, entry)
      } catch (error) {
        work.failed(error)
      }
      work.ended()
    }
    running--
  }
  return () => {
    while (running < CAREFUL && queue.hasFiles) {
      running++
      work.peakInFlight = Math.max(work.peakInFlight, running)
      void loop()
    }
  }
}

/**
 * Sets the attributes of directories, inner ones first: whatever is made in a directory changes its times.
 */
async function finishFolders(work: TreeWork): Promise<void> {
  const { preserved } = work.settings
  let inTurn = 0
  for (const { source, target, stat } of work.folders.reverse()) {
    const mode = preserved.mode ? modeOf(stat, preserved) : stat.mode & 0o777 & ~work.umask
    try {
      applyAttributes({
        source: source || '/',
        target,
        stat,
        preserved,
        mode,
        followsSource: work.settings.dereference,
      })
    } catch (error) {
      if (!work.settings.collect) throw error
      work.errors.push(error as Error)
    }
    if (++inTurn % FOLDERS_IN_A_TURN === 0) await new Promise(setImmediate)
  }
}

/** The umask. Asking for it by `process.umask()` changes it for a moment, for all threads. */
function umaskNow(): number {
  try {
    const match = /^Umask:\s*([0-7]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))
    if (match !== null) return Number.parseInt(match[1]!, 8)
  } catch {
    // No /proc.
  }
  return process.umask()
}
