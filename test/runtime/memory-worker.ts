// The thread of worker-memory.test.ts: uses files, sockets and copies, and looks at each entry just before the kernel
// gets it. Whatever an entry points to has to be in memory of the driver.

import assert from 'node:assert'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { open, readFile, readFiles, writeFile } from '../../src/fs/index.js'
import { Uring } from '../../src/index.js'
import { bind, connect, createServer } from '../../src/net/index.js'
import { BufferRing } from '../../src/ring/buffer-ring.js'
import { type Sqe, WORD_ADDR, WORD_LEN, WORD_OFF, WORD_OPCODE } from '../../src/ring/sqe.js'
import { Arena, type Block } from '../../src/runtime/arena.js'
import {
  IORING_OP_OPENAT,
  IORING_OP_READ,
  IORING_OP_READ_FIXED,
  IORING_OP_READV,
  IORING_OP_RECV,
  IORING_OP_RECVMSG,
  IORING_OP_SEND,
  IORING_OP_SEND_ZC,
  IORING_OP_SENDMSG,
  IORING_OP_SENDMSG_ZC,
  IORING_OP_STATX,
  IORING_OP_WRITE,
  IORING_OP_WRITE_FIXED,
  IORING_OP_WRITEV,
  IOSQE_BUFFER_SELECT,
  IOVEC,
  MSGHDR,
  opcodeName,
  STATX,
} from '../../src/syscalls/abi/index.js'
import { viewMemory } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { copyFile, copyTree, deltaFile, patchFile, signatureFile } from '../../src/transfer/index.js'
import { opcodeOf, watchEntries } from '../watched-entries.js'
import { closeFd } from './fixture.js'
import { connectPair } from './open-uring.js'

const DATA = new Set([
  ...[IORING_OP_READ, IORING_OP_READ_FIXED, IORING_OP_WRITE, IORING_OP_WRITE_FIXED],
  ...[IORING_OP_RECV, IORING_OP_SEND, IORING_OP_SEND_ZC],
])
const VECTORS = new Set([IORING_OP_READV, IORING_OP_WRITEV])
const MESSAGES = new Set([IORING_OP_RECVMSG, IORING_OP_SENDMSG, IORING_OP_SENDMSG_ZC])

/** Blocks in use: address and length. */
const blocks = new Map<number, number>()
/** Entries that the kernel got, by opcode. */
const seen: Record<string, number> = {}
/** Those that point elsewhere. */
const strays = new Set<string>()

function isInBlock(address: number, length: number): boolean {
  for (const [start, bytes] of blocks) {
    if (address >= start && address + length <= start + bytes) return true
  }
  return false
}

function inspect(sqe: Sqe): void {
  const { words } = sqe
  const opcode = opcodeOf(sqe)
  const name = opcodeName(opcode)
  seen[name] = (seen[name] ?? 0) + 1
  const address = (at: number): number => (words[at]! >>> 0) + (words[at + 1]! >>> 0) * 2 ** 32
  const check = (what: string, start: number, length: number): boolean => {
    const isDriverMemory = length === 0 || isInBlock(start, length)
    if (!isDriverMemory) strays.add(`${name} ${what}, ${length} bytes`)
    return isDriverMemory
  }
  const checkVectors = (start: number, count: number): void => {
    if (!check('vectors', start, count * IOVEC.size)) return
    for (let index = 0; index < count; index++) {
      const bytes = new Uint8Array(viewMemory(start + index * IOVEC.size, IOVEC.size))
      const vector = new Struct(IOVEC, bytes)
      check('data', Number(vector.get('iov_base')), Number(vector.get('iov_len')))
    }
  }
  const length = words[WORD_LEN]! >>> 0
  const isSelected = ((words[WORD_OPCODE]! >>> 8) & IOSQE_BUFFER_SELECT) !== 0
  const first = address(WORD_ADDR)
  if (DATA.has(opcode) && !isSelected) check('data', first, length)
  else if (VECTORS.has(opcode) && !isSelected) checkVectors(first, length)
  else if (MESSAGES.has(opcode) && check('header', first, MSGHDR.size)) {
    const header = new Struct(MSGHDR, new Uint8Array(viewMemory(first, MSGHDR.size)))
    // With a buffer that the kernel selects, the lengths are room in that buffer.
    if (!isSelected) {
      check('address', Number(header.get('msg_name')), header.get('msg_namelen'))
      check('control data', Number(header.get('msg_control')), Number(header.get('msg_controllen')))
      checkVectors(Number(header.get('msg_iov')), Number(header.get('msg_iovlen')))
    }
  } else if (opcode === IORING_OP_OPENAT || opcode === IORING_OP_STATX) check('path', first, 1)
  if (opcode === IORING_OP_STATX) check('result', address(WORD_OFF), STATX.size)
}

watchEntries(inspect)
const { add } = BufferRing.prototype
BufferRing.prototype.add = function (address, length, bid) {
  if (!isInBlock(address, length)) strays.add(`a buffer for receives, ${length} bytes`)
  add.call(this, address, length, bid)
}
const { alloc, free } = Arena.prototype
Arena.prototype.alloc = function (bytes) {
  const block = alloc.call(this, bytes)
  blocks.set(block.address, block.bytes.length)
  return block
}
Arena.prototype.free = function (block: Block) {
  blocks.delete(block.address)
  free.call(this, block)
}

const { folder } = workerData as { folder: string }
/** Longer than every limit from which on data is treated in another way. */
const long = Buffer.from(Uint8Array.from({ length: 1_500_000 }, (_, index) => (index * 7) >> 3))

async function operations(): Promise<void> {
  await using uring = Uring.open()
  const path = join(folder, 'operations')
  writeFileSync(path, '')
  const file = openSync(path, 'r+')
  const { signal } = new AbortController()
  assert.equal(await uring.write(file, long), long.length)
  assert.equal(await uring.write(file, Buffer.from('short'), { offset: 3, signal }), 5)
  const target = Buffer.alloc(long.length)
  assert.equal(await uring.read(file, target, { offset: 0 }), long.length)
  assert.equal(await uring.read(file, new Uint16Array(4), { offset: 0, signal }), 8)
  assert.equal(await uring.writev(file, [Buffer.from('ab'), new Uint16Array(3)], { offset: 0 }), 8)
  assert.equal(await uring.readv(file, [Buffer.alloc(3), Buffer.alloc(4)], { offset: 0 }), 7)
  closeSync(file)
  await uring.statx(path)

  const [client, server] = await connectPair(uring)
  assert.equal(await uring.send(client, Buffer.from('one')), 3)
  assert.equal(await uring.send(client, Buffer.from('two'), { signal }), 3)
  assert.equal(await uring.recv(server, Buffer.alloc(6)), 6)
  assert.equal(await uring.sendmsg(client, { buffers: [Buffer.from('three'), Buffer.from('four')] }), 9)
  assert.equal((await uring.recvmsg(server, [Buffer.alloc(4), Buffer.alloc(5)])).length, 9)
  closeFd(client)
  closeFd(server)
}

async function files(): Promise<void> {
  const path = join(folder, 'files')
  await writeFile(path, long)
  assert.ok((await readFile(path)).equals(long))
  await writeFile(path, new Uint8Array(10))
  await writeFile(path, 'text'.repeat(10_000))
  assert.equal((await readFile(path, 'utf8')).length, 40_000)
  for await (const { data } of readFiles([path, path])) assert.equal(data!.length, 40_000)
  await using handle = await open(path, 'r+')
  await handle.write(Buffer.from('abcdef'), 1, 4, 0)
  await handle.writev([Buffer.from('gh'), new Uint16Array([0x6a69])], 4)
  const parts = [Buffer.alloc(3), Buffer.alloc(5)]
  await handle.readv(parts, 0)
  assert.equal(String(Buffer.concat(parts)), 'bcdeghij')
  assert.equal((await handle.read(Buffer.alloc(10), 2, 4, 0)).bytesRead, 4)
  // The address of a view that is used again and again is remembered.
  const often = Buffer.alloc(10)
  for (let time = 0; time < 40; time++) addressOf(often)
  assert.equal((await handle.read(often, 0, 10, 0)).bytesRead, 10)
  let length = 0
  for await (const chunk of handle.createReadStream({ autoClose: false, start: 0 })) length += chunk.length
  assert.equal(length, 40_000)
}

async function sockets(): Promise<void> {
  const server = createServer(async (socket) => {
    for await (const chunk of socket) await socket.write(chunk)
    await socket.end()
  })
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server
  const client = await connect({ host: '127.0.0.1', port })
  const path = join(folder, 'sent')
  writeFileSync(path, long)
  const send = async (): Promise<void> => {
    await client.write('text')
    await client.write([Buffer.from('several'), Buffer.alloc(100_000, 1)])
    await client.write(long)
    await client.sendFile(path)
    await client.end()
  }
  const sending = send()
  let length = 0
  for await (const chunk of client) length += chunk.length
  await sending
  assert.equal(length, 4 + 7 + 100_000 + 2 * long.length)
  await server.close()

  await using first = await bind({ address: '127.0.0.1' })
  await using second = await bind({ address: '127.0.0.1' })
  await first.send([Buffer.from('data'), Buffer.from('gram')], second.address())
  await first.send(Buffer.alloc(10_000, 1), second.address())
  let messages = 0
  for await (const { data } of second.messages()) {
    assert.equal(data.length, messages === 0 ? 8 : 10_000)
    if (++messages === 2) break
  }
}

async function transfers(): Promise<void> {
  const at = (name: string): string => join(folder, name)
  mkdirSync(at('tree'))
  for (let index = 0; index < 20; index++) writeFileSync(at(`tree/${index}`), long.subarray(0, index * 5000))
  writeFileSync(at('basis'), long)
  writeFileSync(at('new'), Buffer.concat([long.subarray(100_000), Buffer.alloc(200_000, 1), long]))
  await copyFile(at('basis'), at('copy'), { methods: ['ring'] })
  await copyTree(at('tree'), at('tree-copy'))
  await signatureFile(at('basis'), at('signature'))
  await deltaFile(at('signature'), at('new'), at('delta'))
  await patchFile(at('basis'), at('delta'), at('patched'))
  assert.ok((await readFile(at('patched'))).equals(await readFile(at('new'))))
}

async function main(): Promise<void> {
  await operations()
  await files()
  await sockets()
  await transfers()
  parentPort!.postMessage({ seen, strays: [...strays].sort() })
}

main().catch((error: unknown) => {
  setImmediate(() => {
    throw error
  })
})
