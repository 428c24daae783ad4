// `net`: TCP servers of this package next to node:net and to C on liburing, under a load generator in C; HTTP under wrk;
// and what idle connections cost.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, type Contender, programContender } from '../harness/contender.js'
import { measureCase } from '../harness/measure.js'
import type { Measurement, Row, Skip, Target } from '../harness/measurement.js'
import { peer } from '../harness/peers.js'
import { ServerProcess, servedContender, tsServer } from '../harness/served.js'
import {
  atLeast,
  below,
  type Column,
  detailColumn,
  findRow,
  OPS_PER_SEC,
  RATIO,
  SPREAD,
  type Suite,
} from '../harness/suite.js'
import { wrk } from '../harness/wrk.js'

const NODE = 'node:net'
const C = 'c-liburing'
const SINK = 'uring-sink'
const DUPLEX = 'uring-stream'
const COPIES = 'uring-copies'

/** Processor time is counted in ticks, a few hundred a second: a short run would measure chance. */
const RUN_MS = 1000
const QUICK_MS = 100
const SHORTEST_LEASE = 16_384
const HTTP_CONNECTIONS = 64
const IDLE_CONNECTIONS = 10_000
const QUICK_IDLE_CONNECTIONS = 500
const IDLE_ROUNDS = 3
/** For the memory of accepted connections to come to rest. */
const SETTLE_MS = 500

interface EchoCase {
  readonly connections: number
  readonly bytes: number
}

const SMALL: readonly EchoCase[] = [
  { connections: 32, bytes: 64 },
  { connections: 256, bytes: 64 },
]
const LARGE: EchoCase = { connections: 32, bytes: 65_536 }

const HTTP_CASE = `HTTP, ${HTTP_CONNECTIONS} connections`

function echoName({ connections, bytes }: EchoCase): string {
  return `echo, ${bytes} B, ${connections} connections`
}

function idleName(connections: number): string {
  return `${connections} idle connections`
}

interface Servers {
  readonly name: string
  readonly command: Command
}

/**
 * Small messages cost less to copy than to lease; large ones, of which most of the time goes into copying, are leased, as
 * the guide has it.
 */
async function echoServers(bytes: number): Promise<Servers[]> {
  const copies = await tsServer('net-uring.ts', ['echo'])
  const native: Servers[] =
    bytes < SHORTEST_LEASE
      ? [
          { name: 'uring', command: copies },
          { name: SINK, command: await tsServer('net-uring.ts', ['echo-sink']) },
        ]
      : [
          { name: 'uring', command: await tsServer('net-uring.ts', ['echo-leases']) },
          { name: COPIES, command: copies },
        ]
  return [
    ...native,
    { name: DUPLEX, command: await tsServer('net-uring.ts', ['echo-stream']) },
    { name: NODE, command: await tsServer('net-node.ts', ['echo']) },
    { name: C, command: peer('net-echo', []) },
  ]
}

function loadGenerator(port: number, { connections, bytes }: EchoCase): Contender {
  return programContender('load', peer('net-load', [port, connections, bytes]))
}

/** A server that holds connections on which nothing happens; one operation is one such connection. */
function idleContender({ name, command }: Servers, connections: number): Contender {
  return {
    name,
    // Memory that was had once is not given back: each run is a new server.
    async start() {
      const server = new ServerProcess(command)
      const reason = (await server.start()) ?? (await idleLoadRefusal(server.port))
      await server.stop()
      return reason
    },
    async run(): Promise<Measurement> {
      const server = new ServerProcess(command)
      await server.start()
      const emptyMiB = server.residentMiB()
      const before = server.cpuMicros()
      const startedMs = performance.now()
      const load = loadGenerator(server.port, { connections, bytes: 0 })
      try {
        const reason = await load.start()
        if (reason !== null) throw new Error(reason)
        const seconds = (performance.now() - startedMs) / 1000
        await sleep(SETTLE_MS)
        const after = server.cpuMicros()
        const residentMiB = server.residentMiB()
        return {
          ops: connections,
          seconds,
          cpuMicros: after.user - before.user + after.system - before.system,
          details: { residentMiB, grownMiB: residentMiB - emptyMiB },
        }
      } finally {
        await load.stop()
        await server.stop()
      }
    },
    async stop() {},
  }
}

async function idleLoadRefusal(port: number): Promise<string | null> {
  const load = loadGenerator(port, { connections: 1, bytes: 0 })
  const reason = await load.start()
  await load.stop()
  return reason
}

/** uring's speed over another's. @param of - Which contender of ours. */
function speedRatio(rows: readonly Row[], name: string, other: string, of = 'uring'): number | null {
  const ours = findRow(rows, name, of)
  const theirs = findRow(rows, name, other)
  if (ours === undefined || theirs === undefined) return null
  return of === 'uring' ? theirs.ratioToUring : ours.opsPerSec / theirs.opsPerSec
}

function detailRatio(
  rows: readonly Row[],
  name: string,
  other: string,
  detail: string,
  of = 'uring',
): number | null {
  const ours = findRow(rows, name, of)?.details?.[detail]
  const theirs = findRow(rows, name, other)?.details?.[detail]
  return ours === undefined || theirs === undefined ? null : ours / theirs
}

const USER_MICROS: Column = detailColumn('user us/op', 'userMicrosPerOp', 2)
const SYSTEM_MICROS: Column = detailColumn('system us/op', 'systemMicrosPerOp', 2)

export const net: Suite = {
  name: 'net',
  title: 'TCP servers under load, next to node:net and C',
  columns: [
    OPS_PER_SEC,
    USER_MICROS,
    SYSTEM_MICROS,
    detailColumn('RSS MiB', 'residentMiB', 1),
    detailColumn('grown MiB', 'grownMiB', 1),
    SPREAD,
    RATIO,
  ],
  bar: { ...OPS_PER_SEC, title: 'thousand ops/s', value: (row) => row.opsPerSec / 1e3, decimals: 0 },
  async run({ quick, effort, progress }) {
    const rows: Row[] = []
    const skipped: Skip[] = []
    const served = { ...effort, runMs: quick ? QUICK_MS : RUN_MS }

    async function measure(name: string, contenders: Contender[], rounds = served.rounds): Promise<void> {
      progress(name)
      const result = await measureCase({ suite: 'net', name, contenders }, { ...served, rounds })
      rows.push(...result.rows)
      skipped.push(...result.skipped)
    }

    progress('building')
    for (const echo of [...SMALL, LARGE]) {
      const servers = await echoServers(echo.bytes)
      const loadOn = (port: number): Contender => loadGenerator(port, echo)
      await measure(
        echoName(echo),
        servers.map(({ name, command }) => servedContender(name, command, loadOn)),
      )
    }

    const http: Servers[] = [
      { name: 'uring', command: await tsServer('net-uring.ts', ['http']) },
      { name: NODE, command: await tsServer('net-node.ts', ['http']) },
    ]
    await measure(
      HTTP_CASE,
      http.map(({ name, command }) => servedContender(name, command, (port) => wrk(port, HTTP_CONNECTIONS))),
    )

    const idleConnections = quick ? QUICK_IDLE_CONNECTIONS : IDLE_CONNECTIONS
    const idle = idleName(idleConnections)
    await measure(
      idle,
      (await echoServers(0))
        .filter(({ name }) => name !== DUPLEX)
        .map((server) => idleContender(server, idleConnections)),
      Math.min(served.rounds, IDLE_ROUNDS),
    )

    const targets: Target[] = []
    // The native face is a loop or a sink; listeners, which node:net has, are the like of a sink.
    const faces = [
      { face: 'uring', title: 'loop' },
      { face: SINK, title: 'sink' },
    ]
    for (const echo of SMALL) {
      const name = echoName(echo)
      for (const { face, title } of faces) {
        targets.push(
          atLeast('net', `${name}: ${title} >= 1.5 times node:net`, speedRatio(rows, name, NODE, face), 1.5),
          atLeast('net', `${name}: ${title} >= 0.85 of C`, speedRatio(rows, name, C, face), 0.85),
          below(
            'net',
            `${name}: ${title}, user time a third of node:net's at most`,
            detailRatio(rows, name, NODE, 'userMicrosPerOp', face),
            1 / 3,
          ),
        )
      }
      targets.push(
        atLeast('net', `${name}: stream level with node:net`, speedRatio(rows, name, NODE, DUPLEX), 1),
      )
    }
    const large = echoName(LARGE)
    targets.push(
      atLeast('net', `${large}: >= 1.2 times node:net`, speedRatio(rows, large, NODE), 1.2),
      atLeast('net', `${HTTP_CASE}: level with node:net`, speedRatio(rows, HTTP_CASE, NODE), 1),
    )
    for (const { face, title } of faces) {
      targets.push(
        below(
          'net',
          `${idle}: ${title}, half of node:net's memory at most`,
          detailRatio(rows, idle, NODE, 'residentMiB', face),
          0.5,
        ),
        below(
          'net',
          `${idle}: ${title}, growth half of node:net's at most`,
          detailRatio(rows, idle, NODE, 'grownMiB', face),
          0.5,
        ),
      )
    }
    return { rows, skipped, targets }
  },
}
