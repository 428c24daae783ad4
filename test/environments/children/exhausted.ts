// Uses up its threads or its descriptors, before or after its first ring, and prints what file operations then did, once
// through uring/fs and once through node:fs/promises.

import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import nodeFs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { availability } from '../../../src/config/index.js'
import * as uringFs from '../../../src/fs/index.js'

/** What this child is told, as JSON in its first argument. */
export interface Orders {
  readonly exhaust: 'threads' | 'descriptors'
  /** Whether there is a ring already. */
  readonly withRing: boolean
}

/** What it prints. */
export interface Findings {
  readonly reason: string
  readonly cause: string
  readonly ours: Readonly<Record<string, unknown>>
  readonly nodes: Readonly<Record<string, unknown>>
  /** No other thread could be had, or no other descriptor. */
  readonly isExhausted: boolean
}

const { exhaust, withRing } = JSON.parse(process.argv[2]!) as Orders
const held: number[] = []

type Fs = Pick<
  typeof nodeFs,
  | 'mkdir'
  | 'writeFile'
  | 'appendFile'
  | 'readFile'
  | 'rename'
  | 'stat'
  | 'truncate'
  | 'link'
  | 'unlink'
  | 'open'
>

/** Opens files until none can be opened any more. @returns Whether that is because no descriptor is left. */
function takeDescriptors(): boolean {
  try {
    for (;;) held.push(fs.openSync('/dev/null', 'r'))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EMFILE'
  }
}

async function outcomes(module: Fs, folder: string): Promise<Record<string, unknown>> {
  const path = join(folder, 'file')
  const other = join(folder, 'other')
  const text = 'a line of text\n'.repeat(10_000)
  const steps: Record<string, () => Promise<unknown>> = {
    mkdir: () => module.mkdir(join(folder, 'below')),
    writeFile: () => module.writeFile(path, text),
    appendFile: () => module.appendFile(path, 'the end'),
    readFile: async () => (await module.readFile(path, 'utf8')).length,
    stat: async () => (await module.stat(path)).size,
    rename: () => module.rename(path, other),
    truncate: () => module.truncate(other, 5),
    link: () => module.link(other, path),
    unlink: () => module.unlink(other),
    open: async () => {
      const handle = await module.open(path, 'r+')
      await handle.write('abc')
      await handle.sync()
      const { bytesRead } = await handle.read(Buffer.alloc(8), 0, 8, 0)
      await handle.close()
      return bytesRead
    },
    missing: () => module.stat(join(folder, 'missing')),
  }
  const found: Record<string, unknown> = {}
  for (const [name, step] of Object.entries(steps)) {
    // What Node closes in the meantime (its loader of TypeScript, from 22 on) must not be there to be had.
    if (exhaust === 'descriptors') takeDescriptors()
    try {
      found[name] = (await step()) ?? 'done'
    } catch (error) {
      found[name] = (error as Error).message.replaceAll(folder, '.')
    }
  }
  return found
}

const folders = ['ours', 'nodes'].map((name) => fs.mkdtempSync(join(tmpdir(), `uring-exhausted-${name}-`)))
for (const folder of folders) fs.writeFileSync(join(folder, 'file'), 'before')

// Node starts its own threads on first use, and ends where it cannot: now, then.
await Promise.all(Array.from({ length: 8 }, () => nodeFs.stat('/')))
if (withRing) await uringFs.stat('/')

let isExhausted = false
if (exhaust === 'threads') {
  const { status, stderr } = spawnSync('prlimit', ['--pid', String(process.pid), '--nproc=1:1'], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  isExhausted = (spawnSync('true').error as NodeJS.ErrnoException | undefined)?.code === 'EAGAIN'
} else {
  // The loader of TypeScript has files open of its own accord (from Node 22 on): each that it closes by and by is taken as well.
  for (let taken = -1; taken < held.length; ) {
    taken = held.length
    isExhausted = takeDescriptors()
    await sleep(100)
  }
}

const ours = await outcomes(uringFs as unknown as Fs, folders[0]!)
const nodes = await outcomes(nodeFs, folders[1]!)
const { reason, cause } = availability()
for (const fd of held) fs.closeSync(fd)
for (const folder of folders) fs.rmSync(folder, { recursive: true })
const findings: Findings = { reason, cause, ours, nodes, isExhausted }
console.log(JSON.stringify(findings))
