// What is called: every function and method of the public entry points, found by looking at them. Left out is what takes
// raw memory by design, what changes the process for the cases behind it, and what removes more than the case's folder.

import { EventEmitter } from 'node:events'
import * as config from '../../src/config/index.js'
import * as fs from '../../src/fs/index.js'
import { Uring } from '../../src/index.js'
import * as net from '../../src/net/index.js'
import * as ring from '../../src/ring/index.js'
import * as transfer from '../../src/transfer/index.js'
import type { World } from './values.js'

/** What methods are called on; made anew for each case. */
export interface Objects {
  readonly uring: Uring
  readonly ring: ring.Ring
  readonly sqe: ring.Sqe
  handle: fs.FileHandle | null
}

export interface Target {
  readonly name: string
  call(objects: Objects, args: readonly unknown[], world: World): unknown
}

const LEFT_OUT: ReadonlySet<string> = new Set([
  // Raw memory is the caller's business: an address of nothing is a crash by design.
  'ring.futexWaitv',
  'ring.readRecvmsgOut',
  'ring.registerClock',
  'ring.registerRegion',
  'ring.registerIfq',
  'ring.registerBpfFilter',
  'ring.registerBpfFilterTask',
  'ring.registerTaskRestrictions',
  'ring.registerZcrxCtrl',
  'ring.registerNapi',
  'ring.registerFiles',
  'ring.registerFilesUpdate',
  'ring.method.register',
  'ring.method.constructor',
  // It would restrict, or change, all that comes after it.
  'config.disableSqpoll',
  'uring.method.constructor',
  // Memory of the process, seen by the kernel: MADV_HWPOISON and the like.
  'uring.method.madvise',
  'uring.method.epollCtl',
  'uring.method.submit',
  'uring.method.start',
  'uring.method.free',
  'uring.method.ref',
  'uring.method.pathBlock',
  'uring.method.copied',
  'uring.method.waitid',
  'uring.method.futexWait',
  'uring.method.futexWake',
  'uring.method.statxWith',
  // Whole trees.
  'fs.rm',
  'fs.rmdir',
  'fs.cp',
  'fs.watch',
  // Node takes a function among its options for a callback, and its promise never settles.
  'fs.opendir',
  'fs.glob',
  'fs.default',
  'transfer.copyTree',
  // Classes that are not constructed by users.
  'fs.FileHandle',
  'ring.MappedRegion',
  'ring.BufferRing',
  'ring.Ring',
  'net.SocketStream',
  'net.serveConnections',
  'transfer.CopyError',
  'transfer.TransferError',
  'config.thisMachine',
])

/** Registration and questions to the kernel, which take the ring first. */
const TAKES_RING = /^(un)?register|^(cloneBuffers|cloneBuffersOffset|query|queryKernel|releaseBufferTag)$/

/**
 * Pure functions on numbers, names and structures, without checks: what is none has no answer from them. They must not
 * crash, and may throw what V8 throws.
 */
export const UNCHECKED: ReadonlySet<string> = new Set([
  'ring.bufferIdOf',
  'ring.cString',
  'ring.checkResult',
  'ring.decodeControlMessages',
  'ring.decodeSocketAddress',
  'ring.encodeControlMessages',
  'ring.errnoMessage',
  'ring.errnoName',
  'ring.flagNames',
  'ring.opcodeName',
  'ring.registerOpcodeName',
  'ring.constantNames',
  'ring.constantValue',
  'ring.sinceOf',
  'ring.setOperationFlags',
  'ring.setReadWriteAttributes',
  'ring.setFsyncRange',
  'ring.setReceiveLimit',
  'ring.systemError',
  'ring.queryKernel',
  'ring.cloneBuffers',
  'ring.cloneBuffersOffset',
  'ring.method.endedSilently',
  'config.buildRing',
  'config.decideSqpoll',
  'config.explainRefusal',
  'config.isAtLeast',
  'config.parseKernelRelease',
  'config.pinWindow',
  'config.planSetup',
  'transfer.applyDelta',
  'transfer.planTransfer',
  'transfer.selectReader',
])

function functionsOf(prefix: string, module: object): Target[] {
  return Object.entries(module)
    .filter(
      ([name, value]) =>
        typeof value === 'function' && !name.startsWith('prep') && !LEFT_OUT.has(`${prefix}.${name}`),
    )
    .filter(([name]) => !/^[A-Z]/.test(name))
    .map(([name, value]) => ({
      name: `${prefix}.${name}`,
      call: (objects, args) =>
        // Registration functions take the ring first.
        prefix === 'ring' && TAKES_RING.test(name) ? value(objects.ring, ...args) : value(...args),
    }))
}

function methodsOf(prefix: string, prototype: object, self: (objects: Objects) => object | null): Target[] {
  const names = new Set<string>()
  // What is inherited of EventEmitter is Node's.
  const ends: readonly unknown[] = [Object.prototype, EventEmitter.prototype, null]
  for (let at = prototype; !ends.includes(at); at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      const { value } = Object.getOwnPropertyDescriptor(at, name)!
      if (typeof value === 'function') names.add(name)
    }
  }
  return [...names]
    .filter((name) => !LEFT_OUT.has(`${prefix}.method.${name}`) && name !== 'constructor')
    .map((name) => ({
      name: `${prefix}.method.${name}`,
      call: (objects, args) => {
        const target = self(objects) as Record<string, (...args: unknown[]) => unknown> | null
        return target === null ? undefined : target[name]!(...args)
      },
    }))
}

/** Prepares an entry, which is then wiped: it is not the checks' business whether an address leads anywhere. */
const preparations: Target[] = Object.entries(ring)
  .filter(([name, value]) => name.startsWith('prep') && typeof value === 'function')
  .map(([name, value]) => ({
    name: `ring.${name}`,
    call: ({ sqe }, args) => {
      sqe.words.fill(0)
      try {
        ;(value as (...args: unknown[]) => unknown)(sqe, ...args)
      } finally {
        sqe.words.fill(0)
      }
    },
  }))

export const TARGETS: readonly Target[] = [
  ...preparations,
  ...functionsOf('ring', ring),
  ...methodsOf('ring', ring.Ring.prototype, (objects) => objects.ring),
  { name: 'ring.open', call: (_, [options]) => ring.Ring.open(options as ring.RingOptions).close() },
  ...functionsOf('config', config),
  ...methodsOf('uring', Uring.prototype, (objects) => objects.uring),
  {
    name: 'uring.open',
    call: async (_, [options]) => {
      await Uring.open(options as object).close()
    },
  },
  ...functionsOf('fs', fs),
  ...methodsOf('fs.handle', fs.FileHandle.prototype, (objects) => objects.handle),
  ...functionsOf('net', net),
  ...functionsOf('transfer', transfer),
]
