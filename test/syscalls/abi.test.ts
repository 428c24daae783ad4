// Every constant, size and offset of src/syscalls/abi against two witnesses: the tables in test/fixtures (made from
// the newest header by a C compiler), and the header installed here, through a C program made on the spot.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { endianness, tmpdir } from 'node:os'
import { join } from 'node:path'
import * as bpfFilter from '../../src/syscalls/abi/bpf-filter.js'
import * as cqeFlags from '../../src/syscalls/abi/cqe-flags.js'
import * as enter from '../../src/syscalls/abi/enter.js'
import * as abi from '../../src/syscalls/abi/index.js'
import * as opFlags from '../../src/syscalls/abi/op-flags.js'
import * as opcodes from '../../src/syscalls/abi/opcodes.js'
import * as query from '../../src/syscalls/abi/query.js'
import * as register from '../../src/syscalls/abi/register.js'
import * as setup from '../../src/syscalls/abi/setup.js'
import * as sqeFlags from '../../src/syscalls/abi/sqe-flags.js'
import * as zcrx from '../../src/syscalls/abi/zcrx.js'
import type { FieldType, Layout } from '../../src/syscalls/struct.js'
import { assert, needs, note, test } from '../harness.js'

const FIXTURES = new URL('../fixtures/', import.meta.url)

interface FixtureField {
  readonly offset: number
  readonly size: number
  readonly type: string
}

interface Fixture {
  readonly constants: Readonly<Record<string, number | string>>
  readonly extra_constants: Readonly<Record<string, number>>
  readonly structs: Readonly<
    Record<string, { readonly size: number; readonly fields: Readonly<Record<string, FixtureField>> }>
  >
}

const fixture = JSON.parse(readFileSync(new URL('uapi-abi.json', FIXTURES), 'utf8')) as Fixture

function readRows(file: string): string[][] {
  const lines = readFileSync(new URL(file, FIXTURES), 'utf8').trimEnd().split('\n')
  return lines.slice(1).map((line) => line.split('\t'))
}

const exported = Object.entries(abi as Record<string, unknown>)
const ours = new Map<string, number | bigint>(
  exported.filter((entry): entry is [string, number | bigint] => /^(number|bigint)$/.test(typeof entry[1])),
)
const layouts = new Map<string, Layout>(
  exported
    .map(([, value]) => value as Layout)
    .filter((value) => typeof value === 'object' && 'fields' in value)
    .map((layout) => [layout.name, layout]),
)

const SIZES: Readonly<Record<FieldType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
}

// What differs between x64, where the fixtures were made, and arm64.
const BY_ARCHITECTURE = new Set(['O_DIRECT', 'O_DIRECTORY', 'O_NOFOLLOW', 'O_TMPFILE'])
const isX64 = process.arch === 'x64'

/** Runs a check for each item and fails once, with all complaints. */
function collect<Item>(items: Iterable<Item>, check: (item: Item) => string | null): number {
  const complaints: string[] = []
  let checked = 0
  for (const item of items) {
    const complaint = check(item)
    if (complaint !== null) complaints.push(complaint)
    checked++
  }
  if (complaints.length > 0) assert.unreachable(complaints.join('\n'))
  return checked
}

test('the tables hold for 64-bit little-endian targets, of which this is one', () => {
  assert.is(endianness(), 'LE')
  assert.ok(['x64', 'arm64', 'riscv64', 'loong64'].includes(process.arch), process.arch)
})

test('every io_uring constant of uapi-abi.json has the same value here', () => {
  const checked = collect(Object.entries(fixture.constants), ([name, value]) => {
    // A value beyond 2^53 is a string in the JSON.
    const expected = typeof value === 'string' ? BigInt(value) : value
    return ours.get(name) === expected ? null : `${name}: ${ours.get(name)}, expected ${expected}`
  })
  assert.is(checked, 270)
})

test('every row of uapi.tsv has the same value and kernel release here', () => {
  const checked = collect(readRows('uapi.tsv'), ([, name, value, since]) => {
    if (String(ours.get(name!)) !== value) return `${name}: ${ours.get(name!)}, expected ${value}`
    return abi.sinceOf(name!) === since ? null : `${name}: ${abi.sinceOf(name!)}, expected ${since}`
  })
  assert.ok(checked > 200)
})

test('every Linux constant of uapi-abi.json has the same value here', () => {
  // errno and system call numbers have their own places; `sizeof(...)` entries are no constants.
  const isOurs = (name: string): boolean =>
    !/^(E[A-Z0-9]+|__NR_.*|sizeof.*)$/.test(name) || /^E(POLL|FD_)/.test(name)
  const names = Object.keys(fixture.extra_constants).filter(isOurs)
  const checked = collect(names, (name) => {
    if (BY_ARCHITECTURE.has(name) && !isX64) return ours.has(name) ? null : `${name} is missing`
    const expected = fixture.extra_constants[name]
    return ours.get(name) === expected ? null : `${name}: ${ours.get(name)}, expected ${expected}`
  })
  assert.ok(checked > 200)
})

test('every io_uring constant stands under exactly one kernel release, under its own name', () => {
  const modules: [Record<string, unknown>, Record<string, object>][] = [
    [opcodes, opcodes.opcodesSince],
    [setup, setup.setupSince],
    [enter, enter.enterSince],
    [sqeFlags, sqeFlags.sqeFlagsSince],
    [cqeFlags, cqeFlags.cqeFlagsSince],
    [opFlags, opFlags.opFlagsSince],
    [register, register.registerSince],
    [query, query.querySince],
    [zcrx, zcrx.zcrxSince],
    [bpfFilter, bpfFilter.bpfFilterSince],
  ]
  for (const [module, since] of modules) {
    const constants = Object.entries(module).filter(([, value]) => typeof value !== 'object')
    const listed = Object.values(since).flatMap((release) => Object.entries(release))
    assert.equal(listed.sort(), constants.sort())
    for (const release of Object.keys(since)) assert.match(release, /^[5-9]\.\d+$/)
  }
  const total = modules.reduce((sum, [module]) => sum + Object.keys(module).length - 1, 0)
  assert.is(abi.constantNames().length, total)
})

/** Our type for a type of the fixtures: `u64[4][]` is an array of 4, `u8[]` a flexible one (count 0). */
function toField(type: string): { type: string; count: number } | null {
  const match = /^(.*?)(?:\[(\d+)\])?(\[\])?$/.exec(type)!
  const base = match[1]!
  const isArray = match[2] !== undefined || match[3] !== undefined
  // A struct inside a struct is spread out under dotted names; an array of structs has no scalar type.
  if (/^(struct|union) /.test(base)) return isArray ? { type: 'u8', count: 0 } : null
  const count = match[2] !== undefined ? Number(match[2]) : isArray ? 0 : 1
  return { type: base === 'ptr' ? 'u64' : base, count }
}

test('every struct of uapi-abi.json has the same size and fields here, and no others', () => {
  // The C library's struct stat differs between architectures and no io_uring operation fills it.
  const expected = Object.keys(fixture.structs).filter((name) => name !== 'stat')
  assert.equal([...layouts.keys()].sort(), expected.sort())
  collect(expected, (name) => {
    if (name === 'epoll_event' && !isX64) return null
    const layout = layouts.get(name)!
    const struct = fixture.structs[name]!
    const complaints: string[] = []
    if (layout.size !== struct.size) complaints.push(`${name}: size ${layout.size}, expected ${struct.size}`)
    const wanted = new Map<string, string>()
    for (const [field, { offset, type }] of Object.entries(struct.fields)) {
      const scalar = toField(type)
      if (scalar) wanted.set(field, `${offset} ${scalar.type} ${scalar.count}`)
    }
    for (const [field, { offset, type, count }] of Object.entries(layout.fields)) {
      const actual = `${offset} ${type} ${count}`
      if (wanted.get(field) !== actual)
        complaints.push(`${name}.${field}: ${actual}, expected ${wanted.get(field)}`)
      wanted.delete(field)
    }
    for (const field of wanted.keys()) complaints.push(`${name}.${field} is missing`)
    return complaints.length === 0 ? null : complaints.join('\n')
  })
})

test('every row of layout.tsv has the same offset and size here', () => {
  const checked = collect(readRows('layout.tsv'), ([name, field, place]) => {
    const layout = layouts.get(name!)
    if (!layout) return `${name} is missing`
    if (field === '-')
      return String(layout.size) === place ? null : `${name}: size ${layout.size}, expected ${place}`
    // A struct inside a struct is the span of its parts.
    const parts = Object.entries(layout.fields).filter(
      ([part]) => part === field || part.startsWith(`${field}.`),
    )
    const start = Math.min(...parts.map(([, part]) => part.offset))
    const end = Math.max(...parts.map(([, part]) => part.offset + SIZES[part.type] * part.count))
    const actual = `${start}:${end - start}`
    return actual === place ? null : `${name}.${field}: ${actual}, expected ${place}`
  })
  assert.ok(checked > 80)
})

test('EPOLL_EVENT is packed on x64 and nowhere else', () => {
  assert.is(abi.EPOLL_EVENT.size, isX64 ? 12 : 16)
  assert.is(abi.EPOLL_EVENT.fields['data.u64'].offset, isX64 ? 4 : 8)
})

test('opcodeName() and registerOpcodeName() know every opcode, and number the unknown', () => {
  assert.is(abi.opcodeName(0), 'IORING_OP_NOP')
  assert.is(abi.opcodeName(64), 'IORING_OP_URING_CMD128')
  assert.is(abi.opcodeName(65), 'IORING_OP_65')
  assert.is(abi.registerOpcodeName(1), 'IORING_UNREGISTER_BUFFERS')
  assert.is(abi.registerOpcodeName(37), 'IORING_REGISTER_BPF_FILTER')
  assert.is(abi.registerOpcodeName(38), 'IORING_REGISTER_38')
  for (const [kind, name, value] of readRows('uapi.tsv')) {
    if (kind === 'opcode') assert.is(abi.opcodeName(Number(value)), name)
    if (kind === 'register') assert.is(abi.registerOpcodeName(Number(value)), name)
  }
})

test('flagNames() lists the bits by name, lowest first, and the rest as a number', () => {
  assert.equal(abi.flagNames('IORING_SETUP_', 0x3), ['IORING_SETUP_IOPOLL', 'IORING_SETUP_SQPOLL'])
  assert.equal(abi.flagNames('IOSQE_', 0x81), ['IOSQE_FIXED_FILE', '0x80'])
  assert.equal(abi.flagNames('IORING_NOTIF_', -0x8000_0000), ['IORING_NOTIF_USAGE_ZC_COPIED'])
  assert.equal(abi.flagNames('IORING_FEAT_', 0), [])
})

test('sinceOf() and constantValue() answer undefined for an unknown name', () => {
  assert.is(abi.sinceOf('IORING_OP_READ'), '5.6')
  assert.is(abi.sinceOf('IORING_OP_FLY'), undefined)
  assert.is(abi.constantValue('IORING_OP_READ'), 22)
  assert.is(abi.constantValue('toString'), undefined)
})

// Bounds and masks grow with the header; the last three are other numbers in musl's headers.
const VARY = new Set([
  ...['IORING_OP_LAST', 'IORING_REGISTER_LAST', 'IORING_RESTRICTION_LAST', '__ZCRX_CTRL_LAST'],
  ...['__IO_URING_QUERY_MAX', 'IORING_URING_CMD_MASK', 'SOMAXCONN', 'O_LARGEFILE', 'O_ACCMODE'],
])

// Reserved space is what later headers take new fields from, so an older one has more of it.
const RESERVED = /(^|\.)(_*(resv|pad|rsvd)|__(spare|reserved|ss_padding))\d*$/

const HEADERS = [
  ...['stdio.h', 'fcntl.h', 'poll.h', 'signal.h', 'time.h', 'sys/epoll.h', 'sys/eventfd.h', 'sys/mman.h'],
  ...['sys/socket.h', 'sys/stat.h', 'sys/statfs.h', 'sys/uio.h', 'sys/un.h', 'sys/wait.h', 'sys/xattr.h'],
  ...['netinet/in.h', 'netinet/tcp.h', 'linux/futex.h', 'linux/io_uring.h', 'linux/io_uring/bpf_filter.h'],
  ...['linux/io_uring/query.h', 'linux/openat2.h', 'linux/time_types.h'],
]

interface ProbeItem {
  /** `IORING_OP_NOP`, `sizeof io_uring_sqe`, `io_uring_sqe.opcode`. */
  readonly name: string
  /** C expressions, and the values they must have. */
  readonly expressions: readonly string[]
  readonly expected: readonly (number | bigint)[]
}

function* probeItems(): Generator<ProbeItem> {
  for (const [name, value] of ours) {
    if (!VARY.has(name)) yield { name, expressions: [name], expected: [value] }
  }
  for (const layout of layouts.values()) {
    const struct = `struct ${layout.name}`
    yield { name: `sizeof ${layout.name}`, expressions: [`sizeof(${struct})`], expected: [layout.size] }
    for (const [field, { offset, type, count }] of Object.entries(layout.fields)) {
      if (RESERVED.test(field)) continue
      const expressions = [`__builtin_offsetof(${struct}, ${field})`]
      const expected = [offset]
      if (count > 0) {
        expressions.push(`sizeof(((${struct} *)0)->${field})`)
        expected.push(SIZES[type] * count)
      }
      yield { name: `${layout.name}.${field}`, expressions, expected }
    }
  }
}

/**
 * The values of the items as a C compiler sees them. An item that the headers lack makes its own line an error: those
 * lines are left out of the next attempt, whatever the compiler's words for them are.
 */
function compileProbe(items: readonly ProbeItem[]): Map<string, string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'uring-abi-'))
  try {
    let left = items
    for (let attempt = 0; attempt < 5; attempt++) {
      const top = [
        '#define _GNU_SOURCE',
        ...HEADERS.flatMap((h) => [`#if __has_include(<${h}>)`, `#include <${h}>`, '#endif']),
      ]
      top.push('int main(void) {')
      const lines = left.map(({ name, expressions }) => {
        const format = expressions.map(() => ' %lld').join('')
        return `printf("${name}\\t${format}\\n", ${expressions.map((text) => `(long long)(${text})`).join(', ')});`
      })
      writeFileSync(join(folder, 'probe.c'), [...top, ...lines, 'return 0; }', ''].join('\n'))
      const compiler = spawnSync('cc', ['-w', '-fmax-errors=0', '-o', 'probe', 'probe.c'], {
        cwd: folder,
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      })
      if (compiler.status === 0) {
        const output = spawnSync(join(folder, 'probe'), { encoding: 'utf8', maxBuffer: 1 << 26 }).stdout
        const rows = output
          .trimEnd()
          .split('\n')
          .map((line) => line.split('\t') as [string, string])
        return new Map(rows.map(([name, values]) => [name, values.trim().split(' ')]))
      }
      const bad = new Set(
        [...compiler.stderr.matchAll(/^probe\.c:(\d+):\d+: error/gm)].map((match) => Number(match[1])),
      )
      const kept = left.filter((_, index) => !bad.has(top.length + index + 1))
      assert.ok(kept.length < left.length, `the probe does not compile:\n${compiler.stderr.slice(0, 2000)}`)
      left = kept
    }
    return assert.unreachable('the probe did not compile in five attempts') as never
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function headerIsHere(): true | string {
  const { status } = spawnSync('cc', ['-E', '-include', 'linux/io_uring.h', '-x', 'c', '/dev/null'])
  return status === 0 || 'needs the header linux/io_uring.h'
}

test(
  'the installed <linux/io_uring.h> agrees with every constant, size and offset it has',
  needs({ command: 'cc', when: headerIsHere }, () => {
    const items = [...probeItems()]
    const found = compileProbe(items)
    const unverified = items.filter((item) => !found.has(item.name)).map((item) => item.name)
    const verified = items.filter((item) => found.has(item.name))
    collect(verified, ({ name, expected }) => {
      const wanted = expected.map((value) => BigInt.asIntN(64, BigInt(value)).toString()).join(' ')
      const actual = found.get(name)!.join(' ')
      return actual === wanted ? null : `${name}: the header has ${actual}, expected ${wanted}`
    })
    // A struct that is missing altogether is named once.
    const lacking = new Set(unverified.map((name) => /^sizeof (.*)$/.exec(name)?.[1]))
    const listed = unverified.filter((name) => !lacking.has(/^(.*?)\./.exec(name)?.[1] ?? ''))
    note(`${verified.length} of ${items.length} verified by the header`)
    if (listed.length > 0) note(`unverified by this header: ${listed.join(', ')}`)
    note(`not compared, since headers differ in them: ${[...VARY].join(', ')}`)
    assert.ok(verified.length > 500, `only ${verified.length} were verified`)
  }),
)

test.run()
