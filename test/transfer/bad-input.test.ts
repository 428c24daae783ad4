// What can be wrong with the world around a transfer: each ends with one clear error, and with the old target intact.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { Uring } from '../../src/index.js'
import {
  applyDelta,
  type DeltaToken,
  deltaFile,
  openBasis,
  patchFile,
  signatureFile,
} from '../../src/transfer/index.js'
import { hasSmallDisk, mountDisk, smallDisk } from '../file-systems.js'
import { assert, needs, test } from '../harness.js'
import { leftovers, Random, scratch, sha256 } from './scratch.js'

const OLD = new Random(21).bytes(2_000_000)
const NEW = Buffer.concat([OLD.subarray(0, 900_000), new Random(22).bytes(300_000), OLD.subarray(950_000)])
const [old, fresh, signature, delta] = [
  scratch('old'),
  scratch('new'),
  scratch('signature'),
  scratch('delta'),
]

async function makeFiles(): Promise<void> {
  if (existsSync(delta)) return
  writeFileSync(old, OLD)
  writeFileSync(fresh, NEW)
  await signatureFile(old, signature)
  await deltaFile(signature, fresh, delta)
}

test(
  'a full disk: ENOSPC, with every reader and writer, and the old target as it was',
  needs({ root: true, command: 'mount', when: hasSmallDisk }, async () => {
    await makeFiles()
    using mounted = smallDisk(scratch(), 2 ** 20)
    const disk = mounted.path
    const target = `${disk}/target`
    writeFileSync(target, 'old')
    for (const options of [
      {},
      { share: false },
      { basis: 'mmap' },
      { hash: 'sha256' },
      { sparse: true },
      { durable: true, writer: 'standard' },
    ] as const) {
      await assert.rejects(patchFile(old, delta, target, options), { code: 'ENOSPC', path: target })
      assert.is(readFileSync(target, 'utf8'), 'old')
      assert.equal(leftovers(disk), [])
    }
    await assert.rejects(signatureFile(old, `${disk}/signature`, { blockBytes: 16 }), { code: 'ENOSPC' })
    writeFileSync(signature, readFileSync(signature).subarray(0, 12))
    await assert.rejects(deltaFile(signature, fresh, `${disk}/delta`), { code: 'ENOSPC' })
    assert.equal(leftovers(disk), [])
    rmSync(delta)
  }),
)

test(
  'a read-only file system: EROFS',
  needs({ root: true, command: 'mount', when: hasSmallDisk }, async () => {
    await makeFiles()
    using disk = mountDisk(scratch('read-only'), '-t', 'tmpfs', '-o', 'ro', 'tmpfs')
    await assert.rejects(patchFile(old, delta, `${disk.path}/target`), { code: 'EROFS' })
  }),
)

test(
  'a read-only target or folder, for who is not root: EACCES',
  needs({ root: true, command: 'setpriv' }, async () => {
    await makeFiles()
    const folder = scratch('guarded')
    mkdirSync(folder)
    writeFileSync(`${folder}/target`, 'old')
    chmodSync(`${folder}/target`, 0o444)
    chmodSync(folder, 0o777)
    chmodSync(scratch(), 0o755)
    const code = `
      import { patchFile } from ${JSON.stringify(new URL('../../src/transfer/index.ts', import.meta.url).href)}
      const [basis, delta, ...targets] = process.argv.slice(1)
      for (const target of targets) {
        await patchFile(basis, delta, target).then(() => console.log('made'), (error) => console.log(error.code))
      }`
    mkdirSync(scratch('closed'), { mode: 0o755 })
    const targets = [`${folder}/target`, scratch('closed/target'), `${folder}/new`]
    const args = ['--reuid', '12345', '--regid', '12345', '--clear-groups', process.execPath]
    const node = [
      '--import',
      import.meta.resolve('tsx'),
      '--input-type=module',
      '-e',
      code,
      old,
      delta,
      ...targets,
    ]
    const { stdout, stderr } = spawnSync('setpriv', [...args, ...node], {
      encoding: 'utf8',
      env: { ...process.env, TMPDIR: folder },
    })
    assert.is(stdout, 'EACCES\nEACCES\nmade\n', stderr)
    assert.is(readFileSync(`${folder}/target`, 'utf8'), 'old')
    assert.is(statSync(`${folder}/new`).uid, 12345)
    assert.equal(leftovers(folder), [])
  }),
)

test(
  'patchFile() refuses a config beside a ring that is built',
  needs({ ring: true }, async () => {
    await using uring = Uring.open()
    const patching = patchFile(old, delta, scratch('never'), { uring, config: { sqpoll: true } })
    await assert.rejects(patching, { code: 'ERR_INVALID_ARG_VALUE' })
  }),
)

test('a target that is the basis, the delta, the signature or the new file is refused', async () => {
  await makeFiles()
  symlinkSync(old, scratch('old again'))
  const sums = [old, delta, signature, fresh].map(sha256)
  const code = 'ERR_TARGET_IS_SOURCE'
  await assert.rejects(patchFile(old, delta, old), { code, message: /^The output is the basis itself, '/ })
  await assert.rejects(patchFile(old, delta, scratch('old again')), { code })
  await assert.rejects(patchFile(old, delta, delta), { code, message: /^The output is the delta itself, '/ })
  await assert.rejects(signatureFile(old, old), { code })
  await assert.rejects(deltaFile(signature, fresh, fresh), { code, message: /the new file itself/ })
  await assert.rejects(deltaFile(signature, fresh, signature), { code, message: /the signature itself/ })
  assert.equal([old, delta, signature, fresh].map(sha256), sums)
})

test('directories and missing files in every place', async () => {
  await makeFiles()
  const folder = scratch('folder')
  mkdirSync(folder)
  const none = scratch('none')
  for (const [path, code] of [
    [folder, 'EISDIR'],
    [none, 'ENOENT'],
  ] as const) {
    await assert.rejects(patchFile(path, delta, scratch('x')), { code, path })
    await assert.rejects(patchFile(old, path, scratch('x')), { code, path })
    await assert.rejects(signatureFile(path, scratch('x')), { code, path })
    await assert.rejects(deltaFile(path, fresh, scratch('x')), { code, path })
    await assert.rejects(deltaFile(signature, path, scratch('x')), { code, path })
  }
  await assert.rejects(patchFile(old, delta, folder), { code: 'EISDIR', path: folder })
  await assert.rejects(patchFile(old, delta, `${none}/x`), { code: 'ENOENT' })
  await assert.rejects(patchFile(old, delta, '/dev/null'), { code: 'EINVAL', path: '/dev/null' })
  symlinkSync(scratch('loop'), scratch('loop'))
  await assert.rejects(patchFile(old, delta, scratch('loop')), { code: 'ELOOP' })
  assert.is(existsSync(scratch('x')), false)
  assert.equal(leftovers(), [])
})

test('a basis that vanishes mid-way is still there for who has it open', async () => {
  await makeFiles()
  const path = scratch('vanishing')
  const target = scratch('from nothing')
  for (const options of [{}, { strategy: 'mmap', writer: 'standard' }] as const) {
    writeFileSync(path, OLD)
    await using basis = await openBasis(path, options)
    async function* tokens(): AsyncGenerator<DeltaToken> {
      yield { type: 'range', offset: 0, length: 1_000_000 }
      unlinkSync(path)
      yield { type: 'range', offset: 1_000_000, length: 1_000_000 }
    }
    await applyDelta(basis, tokens(), target)
    assert.ok(readFileSync(target).equals(OLD))
  }
})

test('a delta and a new file may come through pipes, a byte at a time', async () => {
  await makeFiles()
  for (const [name, source, use] of [
    ['delta pipe', delta, (pipe: string) => patchFile(old, pipe, scratch('piped'))],
    ['new pipe', fresh, (pipe: string) => deltaFile(signature, pipe, scratch('piped'))],
    ['old pipe', old, (pipe: string) => signatureFile(pipe, scratch('piped'), { blockBytes: 1408 })],
  ] as const) {
    const pipe = scratch(name)
    spawnSync('mkfifo', [pipe])
    const feeder = `const fs = require('node:fs'); const data = fs.readFileSync(${JSON.stringify(source)})
      const fd = fs.openSync(${JSON.stringify(pipe)}, 'w')
      for (let at = 0; at < 40; at++) fs.writeSync(fd, data, at, 1)
      for (let at = 40; at < data.length; ) at += fs.writeSync(fd, data, at, Math.min(70_001, data.length - at))`
    const child = spawn(process.execPath, ['-e', feeder])
    const exit = once(child, 'exit')
    await use(pipe)
    await exit
    if (name === 'delta pipe') assert.ok(readFileSync(scratch('piped')).equals(NEW))
    if (name === 'new pipe') assert.ok(readFileSync(scratch('piped')).equals(readFileSync(delta)))
    if (name === 'old pipe') assert.ok(readFileSync(scratch('piped')).equals(readFileSync(signature)))
  }
})

test(
  'an abort ends the wait for a pipe that nobody writes to',
  needs({ ring: true }, async () => {
    await makeFiles()
    const pipe = scratch('silent pipe')
    spawnSync('mkfifo', [pipe])
    // Open for reading and writing, so that nobody waits for the other end.
    const fd = openSync(pipe, 'r+')
    const controller = new AbortController()
    const patching = patchFile(old, pipe, scratch('never'), { signal: controller.signal })
    setTimeout(() => controller.abort(), 30)
    await assert.rejects(patching, { name: 'AbortError' })
    closeSync(fd)
    assert.is(existsSync(scratch('never')), false)
    assert.equal(leftovers(), [])
  }),
)

test('a process that exits in mid-work leaves no unfinished file, and the old target', async () => {
  await makeFiles()
  const folder = scratch('exiting')
  mkdirSync(folder)
  writeFileSync(`${folder}/target`, 'old')
  const code = `
    import { applyDelta, openBasis } from ${JSON.stringify(new URL('../../src/transfer/index.ts', import.meta.url).href)}
    const basis = await openBasis(process.argv[1])
    async function* tokens() {
      for (let index = 0; ; index++) {
        yield { type: 'range', offset: 0, length: 1_000_000 }
        if (index === 4) process.exit(7)
      }
    }
    await applyDelta(basis, tokens(), process.argv[2])`
  const args = [
    '--import',
    import.meta.resolve('tsx'),
    '--input-type=module',
    '-e',
    code,
    old,
    `${folder}/target`,
  ]
  assert.is(spawnSync(process.execPath, args).status, 7)
  assert.is(readFileSync(`${folder}/target`, 'utf8'), 'old')
  assert.equal(leftovers(folder), [])
})

test.run()
