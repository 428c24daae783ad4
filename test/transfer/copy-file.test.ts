// copyFile: every method, holes, O_DIRECT, attributes, what must not be touched when it fails.

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defaultUring } from '../../src/runtime/index.js'
import type { CopySession } from '../../src/transfer/copy/session.js'
import { verifyCopy } from '../../src/transfer/copy/verify.js'
import { type CopyMethod, type CopyOptions, copyFile } from '../../src/transfer/index.js'
import {
  btrfsDisk,
  hasBtrfsDisk,
  hasSmallDisk,
  smallDisk,
  takesAttributes,
  takesDirect,
} from '../file-systems.js'
import { assert, needs, test } from '../harness.js'
import { transfersOf } from '../watched-entries.js'
import { asNobody } from './as-nobody.js'
import { copyFolder, distinctBytes, leftovers, withAndWithoutRing } from './copy-fixture.js'

const folder = copyFolder()
const at = (name: string): string => join(folder, name)
const SIZES = [0, 1, 4095, 4096, 4097, 65_536, 262_143, 262_145, 1_000_003, 5 * 2 ** 20 + 7]
const linux = { linux: '5.6' } as const

function makeSparse(path: string): void {
  const fd = fs.openSync(path, 'w')
  fs.writeSync(fd, distinctBytes(10_000), 0, 10_000, 5 * 2 ** 20)
  fs.writeSync(fd, distinctBytes(5000, 2), 0, 5000, 20 * 2 ** 20 + 77)
  fs.ftruncateSync(fd, 32 * 2 ** 20 + 13)
  fs.closeSync(fd)
}

test(
  'copyFile() copies files of every size by every method',
  needs(linux, async () => {
    const ways: CopyOptions[] = [
      {},
      { methods: ['ring'] },
      { methods: ['node'] },
      { direct: true },
      { direct: 'source' },
      { methods: ['ring'], bufferSize: 4096, depth: 3 },
      { methods: ['ring'], direct: true, bufferSize: 8192, depth: 1 },
    ]
    for (const size of SIZES) {
      const bytes = distinctBytes(size, size + 1)
      fs.writeFileSync(at('source'), bytes)
      for (const options of ways) {
        const result = await copyFile(at('source'), at('target'), options)
        const label = `${size} bytes, ${JSON.stringify(options)}`
        assert.ok(fs.readFileSync(at('target')).equals(bytes), label)
        assert.is(result.bytes, size, label)
        if (options.methods !== undefined) assert.is(result.method, options.methods[0], label)
      }
    }
    assert.equal(leftovers(folder), [])
  }),
)

test('copyFile() copies without a ring, and says by what', async () => {
  const bytes = distinctBytes(3_000_001)
  fs.writeFileSync(at('source'), bytes)
  await withAndWithoutRing(async (label) => {
    const hasRing = label === 'with a ring'
    const plain = await copyFile(at('source'), at('target'))
    assert.ok(['reflink', 'copy-file-range'].includes(plain.method), plain.method)
    const direct = await copyFile(at('source'), at('target'), { direct: true, verify: true })
    assert.is(direct.hash, createHash('sha256').update(bytes).digest('hex'))
    assert.is(direct.method, hasRing ? 'ring' : 'node', label)
    assert.is(direct.ring === null, !hasRing)
    assert.ok(fs.readFileSync(at('target')).equals(bytes))
  })
})

test(
  'copyFile({ direct }) reads and writes with O_DIRECT, or reads alone',
  needs({ ...linux, when: takesDirect }, async () => {
    fs.writeFileSync(at('source'), distinctBytes(1_000_003))
    for (const [direct, wanted] of [
      [true, ['read direct', 'write direct']],
      ['source', ['read direct', 'write']],
      [false, ['read', 'write']],
    ] as const) {
      const seen = await transfersOf(async () => {
        const result = await copyFile(at('source'), at('target'), { direct, methods: ['ring'] })
        assert.equal([result.directSource, result.directTarget], [direct !== false, direct === true])
      })
      assert.equal(seen, wanted)
    }
  }),
)

test(
  'copyFile() has several operations in flight on the ring',
  needs(linux, async () => {
    fs.writeFileSync(at('source'), distinctBytes(8 * 2 ** 20))
    const { reads, writes, peakInFlight, enters } = await copyFile(at('source'), at('target'), {
      methods: ['ring'],
      depth: 8,
      bufferSize: 262_144,
    })
    assert.is(reads, 32)
    assert.is(writes, 32)
    assert.is(peakInFlight, 8)
    assert.ok(enters > 0)
  }),
)

test('copyFile() keeps holes, by every method, and writes them out when told to', async () => {
  makeSparse(at('sparse'))
  const content = fs.readFileSync(at('sparse'))
  const { blocks } = fs.statSync(at('sparse'))
  await withAndWithoutRing(async () => {
    for (const options of [{}, { methods: ['node'] }, { direct: true }] as CopyOptions[]) {
      const result = await copyFile(at('sparse'), at('copy'), options)
      const label = `${result.method} ${JSON.stringify(options)}`
      assert.ok(fs.readFileSync(at('copy')).equals(content), label)
      assert.is(fs.statSync(at('copy')).blocks, blocks, label)
      if (result.method !== 'reflink') assert.ok(result.holeBytes > 30 * 2 ** 20, label)
    }
  })
  const dense = await copyFile(at('sparse'), at('copy'), {
    sparse: false,
    methods: ['copy-file-range', 'node'],
  })
  assert.is(dense.holeBytes, 0)
  assert.ok(fs.statSync(at('copy')).blocks > 60_000)
  assert.ok(fs.readFileSync(at('copy')).equals(content))
})

test('copyFile() copies files of /proc, which do not say how long they are', async () => {
  await withAndWithoutRing(async () => {
    const { bytes } = await copyFile('/proc/self/mountinfo', at('proc'), { preserve: { mode: false } })
    assert.ok(bytes > 0)
    assert.is(fs.readFileSync(at('proc'), 'utf8'), fs.readFileSync('/proc/self/mountinfo', 'utf8'))
    // It is as read-only as the source.
    fs.rmSync(at('proc'))
  })
})

test('copyFile() takes over permissions, and times when asked to', async () => {
  fs.writeFileSync(at('source'), 'x')
  fs.chmodSync(at('source'), 0o751)
  const seconds = 981_173_106
  fs.utimesSync(at('source'), seconds, seconds + 0.125)
  await withAndWithoutRing(async () => {
    await copyFile(at('source'), at('target'))
    assert.is(fs.statSync(at('target')).mode & 0o7777, 0o751)
    assert.ok(fs.statSync(at('target')).mtimeMs > seconds * 1000 + 1000)
    await copyFile(at('source'), at('target'), { preserve: true })
    const own = fs.statSync(at('source'), { bigint: true })
    const stats = fs.statSync(at('target'), { bigint: true })
    assert.is(stats.mtimeNs, own.mtimeNs)
    assert.is(stats.mode, own.mode)
  })
})

test('copyFile() writes through a symlink, and keeps the link', async () => {
  fs.writeFileSync(at('source'), 'new')
  fs.writeFileSync(at('real'), 'old')
  fs.rmSync(at('link'), { force: true })
  fs.symlinkSync('real', at('link'))
  await copyFile(at('source'), at('link'))
  assert.is(fs.readlinkSync(at('link')), 'real')
  assert.is(fs.readFileSync(at('real'), 'utf8'), 'new')
})

test('copyFile() makes what a symlink leads to that leads nowhere yet', async () => {
  fs.writeFileSync(at('file'), 'through two links')
  fs.mkdirSync(at('aside'))
  fs.symlinkSync('aside/second', at('first'))
  fs.symlinkSync('../made at last', at('aside/second'))
  await copyFile(at('file'), at('first'))
  assert.ok(fs.lstatSync(at('first')).isSymbolicLink())
  assert.is(fs.readFileSync(at('made at last'), 'utf8'), 'through two links')
  fs.symlinkSync('circle', at('circle'))
  await assert.rejects(copyFile(at('file'), at('circle')), { code: 'ELOOP' })
})

test('copyFile() without the mode makes a new file with that of the source less the umask', async () => {
  fs.writeFileSync(at('program'), 'a program')
  fs.chmodSync(at('program'), 0o4775)
  const umask = process.umask(0o027)
  try {
    await copyFile(at('program'), at('new'), { preserve: { mode: false } })
    assert.is(fs.statSync(at('new')).mode & 0o7777, 0o750)
    fs.chmodSync(at('new'), 0o604)
    await copyFile(at('program'), at('new'), { preserve: { mode: false } })
    assert.is(fs.statSync(at('new')).mode & 0o7777, 0o604)
  } finally {
    process.umask(umask)
  }
})

test('copyFile() copies an empty file by any method that it may use', async () => {
  fs.writeFileSync(at('empty'), '')
  for (const methods of [['copy-file-range'], ['reflink', 'copy-file-range'], ['node'], ['ring', 'node']]) {
    const target = at(`empty by ${methods}`)
    const { bytes } = await copyFile(at('empty'), target, { methods: methods as CopyMethod[] })
    assert.is(bytes, 0)
    assert.is(fs.statSync(target).size, 0)
  }
})

const SHORTER_THAN_IT_SAYS = '/sys/kernel/mm/transparent_hugepage/enabled'

test(
  'copyFile() copies files of /sys, which say that they are of one page',
  needs({ when: () => fs.existsSync(SHORTER_THAN_IT_SAYS) || 'needs a file of /sys' }, async () => {
    await withAndWithoutRing(async () => {
      const { bytes, holeBytes } = await copyFile(SHORTER_THAN_IT_SAYS, at('setting'))
      const text = fs.readFileSync(SHORTER_THAN_IT_SAYS, 'utf8')
      assert.is(fs.readFileSync(at('setting'), 'utf8'), text)
      assert.equal([bytes, holeBytes], [text.length, 0])
      fs.rmSync(at('setting'))
    })
  }),
)

test(
  'copyFile() takes over the attributes of a file that is read-only, or named by a symlink',
  needs({ when: takesAttributes }, async () => {
    fs.writeFileSync(at('attributed'), 'a file')
    execFileSync('setfattr', ['-n', 'user.mine', '-v', 'its value', at('attributed')])
    fs.chmodSync(at('attributed'), 0o444)
    fs.symlinkSync('attributed', at('to the attributed'))
    // Root may write what nobody may.
    const euid = process.geteuid!()
    if (euid === 0) {
      fs.chownSync(at('attributed'), 65534, 65534)
      fs.chmodSync(folder, 0o777)
      process.seteuid!(65534)
    }
    try {
      for (const name of ['attributed', 'to the attributed']) {
        process.env['URING_DISABLE'] = '1'
        await copyFile(at(name), at('with attribute'), { preserve: { xattrs: true } })
        assert.is(fs.statSync(at('with attribute')).mode & 0o7777, 0o444)
        fs.renameSync(at('with attribute'), at('with'))
        assert.match(
          execFileSync('getfattr', ['-d', at('with')], { encoding: 'utf8' }),
          /user\.mine="its value"/,
        )
        fs.unlinkSync(at('with'))
      }
    } finally {
      delete process.env['URING_DISABLE']
      if (euid === 0) process.seteuid!(euid)
    }
  }),
)

test('copyFile() leaves the target alone when it cannot copy', async () => {
  fs.writeFileSync(at('file'), 'the source')
  fs.writeFileSync(at('old'), 'the old target')
  fs.linkSync(at('file'), at('other-name'))
  const cases: [string, string, string][] = [
    [at('file'), at('file'), 'ERR_TARGET_IS_SOURCE'],
    [at('file'), at('other-name'), 'ERR_TARGET_IS_SOURCE'],
    [folder, at('old'), 'EISDIR'],
    [at('file'), folder, 'EISDIR'],
    [at('nothing'), at('old'), 'ENOENT'],
    ['/dev/zero', at('old'), 'ERR_COPY_KIND'],
    [at('file'), '/dev/null', 'EINVAL'],
    [at('file'), at('no/such/folder'), 'ENOENT'],
    [at('file'), at('file/below'), 'ENOTDIR'],
  ]
  await withAndWithoutRing(async () => {
    for (const [source, target, code] of cases) {
      await assert.rejects(copyFile(source, target), { code })
    }
    await assert.rejects(copyFile(at('file'), at('old'), { overwrite: false }), { code: 'EEXIST' })
    await copyFile(at('file'), at('made'), { overwrite: false })
    assert.is(fs.readFileSync(at('made'), 'utf8'), 'the source')
    fs.rmSync(at('made'))
  })
  assert.is(fs.readFileSync(at('old'), 'utf8'), 'the old target')
  assert.ok(fs.statSync('/dev/null').isCharacterDevice())
  assert.equal(leftovers(folder), [])
})

/** Whether a process here may be traced at all. */
function canTrace(): true | string {
  const { status, stderr } = spawnSync('strace', ['-o', '/dev/null', 'true'], { encoding: 'utf8' })
  return status === 0 || `strace cannot trace here: ${stderr.trim().split('\n')[0]}`
}

test(
  'a new file that may replace nothing is durable with its directory, and made where there are no hard links',
  needs({ command: 'strace', when: canTrace }, () => {
    const trace = at('trace')
    const copied = (name: string, ...wishes: string[]): string => {
      const module = new URL('../../src/transfer/index.ts', import.meta.url).href
      const code = `const { copyFile } = await import(${JSON.stringify(module)})
        const [from, to] = process.argv.slice(-2)
        const options = { overwrite: false, durable: true }
        await copyFile(from, to, options)
        await copyFile(from, to, options).catch((error) => console.log(error.code, error.path === to))`
      const node = [
        process.execPath,
        '--import',
        import.meta.resolve('tsx'),
        '--input-type=module',
        '-e',
        code,
      ]
      const command = ['-f', '-y', '-o', trace, ...wishes, ...node, at('file'), at(name)]
      const { status, stdout, stderr } = spawnSync('strace', command, { encoding: 'utf8' })
      assert.is(status, 0, stderr)
      return stdout.trim()
    }
    fs.writeFileSync(at('file'), 'the source')
    assert.is(copied('durable', '-e', 'trace=fsync'), 'EEXIST true')
    // Node itself has its output written, too.
    const synced = fs.readFileSync(trace, 'utf8').match(/(?<=fsync\(\d+<)[^>]+/g) ?? []
    assert.is(synced.filter((path) => path.startsWith(folder)).length, 2)
    assert.is(copied('unlinked', '-e', 'inject=?link,linkat:error=EPERM'), 'EEXIST true')
    assert.is(fs.readFileSync(at('unlinked'), 'utf8'), 'the source')
    for (const name of ['durable', 'unlinked', 'trace']) fs.rmSync(at(name))
    assert.equal(leftovers(folder), [])
  }),
)

test('copyFile() refuses arguments that make no sense', async () => {
  const bad: [unknown, string][] = [
    [{ depth: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ bufferSize: 5000 }, 'ERR_INVALID_ARG_VALUE'],
    [{ methods: [] }, 'ERR_INVALID_ARG_TYPE'],
    [{ methods: ['magic'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ verify: 'no-such-hash' }, 'ERR_INVALID_ARG_VALUE'],
    [{ preserve: { modes: true } }, 'ERR_INVALID_ARG_VALUE'],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ direct: 'target' }, 'ERR_INVALID_ARG_TYPE'],
    [{ onProgress: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ]
  for (const [options, code] of bad) {
    await assert.rejects(copyFile(at('file'), at('x'), options as CopyOptions), { code })
  }
  await assert.rejects(copyFile('', at('x')), { code: 'ERR_INVALID_ARG_VALUE' })
  await assert.rejects(copyFile('a\0b', at('x')), { code: 'ERR_INVALID_ARG_VALUE' })
  await assert.rejects(copyFile(Buffer.from([0x66, 0xff]), at('x')), { code: 'ERR_INVALID_ARG_VALUE' })
})

test('copyFile() stops on an abort, and leaves nothing behind', async () => {
  fs.writeFileSync(at('large'), distinctBytes(32 * 2 ** 20))
  fs.writeFileSync(at('old'), 'the old target')
  await withAndWithoutRing(async (label) => {
    for (const methods of [['ring'], ['node'], ['copy-file-range', 'node']] as CopyMethod[][]) {
      if (methods[0] === 'ring' && label !== 'with a ring') continue
      const controller = new AbortController()
      const copying = copyFile(at('large'), at('old'), {
        methods,
        bufferSize: 4096,
        depth: 2,
        signal: controller.signal,
        progressIntervalMs: 0,
        onProgress: () => controller.abort('enough'),
      })
      await assert.rejects(copying, { name: 'AbortError', code: 'ABORT_ERR' })
      assert.is(fs.readFileSync(at('old'), 'utf8'), 'the old target')
      assert.equal(leftovers(folder), [])
    }
    await assert.rejects(copyFile(at('large'), at('old'), { signal: AbortSignal.abort() }), {
      name: 'AbortError',
    })
  })
})

test('copyFile() tells how far it has come, and ends with what the callback throws', async () => {
  fs.writeFileSync(at('large'), distinctBytes(4 * 2 ** 20))
  await withAndWithoutRing(async () => {
    const seen: number[] = []
    const options = { progressIntervalMs: 0, methods: ['ring', 'node'] as CopyMethod[] }
    await copyFile(at('large'), at('target'), { ...options, onProgress: ({ bytes }) => seen.push(bytes) })
    assert.is(seen.at(-1), 4 * 2 ** 20)
    assert.ok(seen.length > 2)
    assert.equal(
      seen,
      [...seen].sort((a, b) => a - b),
    )
    const onProgress = (): void => {
      throw new Error('not one more')
    }
    await assert.rejects(copyFile(at('large'), at('target'), { ...options, onProgress }), /not one more/)
    assert.equal(leftovers(folder), [])
  })
})

test('copyFile() notices a source that gets shorter', async () => {
  await withAndWithoutRing(async (label) => {
    for (const methods of [['ring'], ['node'], ['copy-file-range', 'node']] as CopyMethod[][]) {
      if (methods[0] === 'ring' && label !== 'with a ring') continue
      fs.writeFileSync(at('shrinking'), distinctBytes(8 * 2 ** 20))
      fs.writeFileSync(at('old'), 'the old target')
      let hasShrunk = false
      const copying = copyFile(at('shrinking'), at('old'), {
        methods,
        bufferSize: 4096,
        depth: 1,
        progressIntervalMs: 0,
        onProgress() {
          if (!hasShrunk) fs.truncateSync(at('shrinking'), 2 * 2 ** 20)
          hasShrunk = true
        },
      })
      // One call of copy_file_range may have taken all of it before.
      if (methods[0] === 'copy-file-range')
        await copying.catch(({ code }) => assert.is(code, 'ERR_COPY_SOURCE_CHANGED'))
      else {
        await assert.rejects(copying, { code: 'ERR_COPY_SOURCE_CHANGED' })
        assert.is(fs.readFileSync(at('old'), 'utf8'), 'the old target')
      }
      assert.equal(leftovers(folder), [])
    }
  })
})

test(
  'copyFile() onto a full disk is ENOSPC, with the old target as it was',
  needs({ root: true, when: hasSmallDisk }, async () => {
    using disk = smallDisk(folder, 2 ** 20)
    const target = join(disk.path, 'target')
    fs.writeFileSync(target, 'the old target')
    fs.writeFileSync(at('large'), distinctBytes(3 * 2 ** 20))
    await withAndWithoutRing(async (label) => {
      for (const options of [{}, { methods: ['ring', 'node'] }, { direct: true }] as CopyOptions[]) {
        await assert.rejects(copyFile(at('large'), target, options), (error) => {
          assert.is(error.code, 'ENOSPC', `${label} ${JSON.stringify(options)}: ${error.message}`)
          assert.ok(error.message.includes(target) || error.dest === target, error.message)
          return true
        })
        assert.is(fs.readFileSync(target, 'utf8'), 'the old target')
        assert.equal(fs.readdirSync(disk.path), ['target'])
      }
    })
  }),
)

test(
  'copyFile() shares blocks where the file system can',
  needs({ root: true, command: 'mkfs.btrfs', when: hasBtrfsDisk }, async () => {
    using disk = btrfsDisk(folder)
    const mounted = disk.path
    const bytes = distinctBytes(3 * 2 ** 20 + 5)
    fs.writeFileSync(join(mounted, 'source'), bytes)
    await withAndWithoutRing(async () => {
      const { method } = await copyFile(join(mounted, 'source'), join(mounted, 'target'))
      assert.is(method, 'reflink')
      assert.ok(fs.readFileSync(join(mounted, 'target')).equals(bytes))
      // Not from another file system: the next method takes over, unless there is none.
      fs.writeFileSync(at('elsewhere'), bytes)
      const across = await copyFile(at('elsewhere'), join(mounted, 'target'))
      assert.is.not(across.method, 'reflink')
      const only = copyFile(at('elsewhere'), join(mounted, 'target'), { methods: ['reflink'] })
      await assert.rejects(only, { syscall: 'ficlone' })
    })
  }),
)

test(
  'copyFile() by a user who may not write the target is EACCES, with the target as it was',
  needs({ root: true }, async () => {
    fs.writeFileSync(at('file'), 'the source')
    fs.chmodSync(folder, 0o777)
    fs.writeFileSync(at('read-only'), 'the old target')
    fs.chmodSync(at('read-only'), 0o444)
    const code = `
      const outcome = await copyFile(...args).then(() => 'done', (error) => error.code)
      process.stdout.write(outcome)`
    assert.is(asNobody(code, [at('file'), at('read-only')]), 'EACCES')
    assert.is(fs.readFileSync(at('read-only'), 'utf8'), 'the old target')
  }),
)

test(
  'copyFile() by a user who may not give files away drops the set-id bits, which would grant their own rights',
  needs({ root: true }, async () => {
    fs.chmodSync(folder, 0o777)
    fs.writeFileSync(at('set-id'), 'a program')
    fs.chmodSync(at('set-id'), 0o6755)
    for (const env of [{}, { URING_DISABLE: '1' }]) {
      const code = 'await copyFile(...args, { preserve: { owner: true } })'
      asNobody(code, [at('set-id'), at('of nobody')], env)
      const { mode, uid } = fs.statSync(at('of nobody'))
      assert.equal([mode & 0o7777, uid], [0o755, 65534])
      fs.unlinkSync(at('of nobody'))
    }
    // Root can, and the copy has all of them.
    await copyFile(at('set-id'), at('of root'), { preserve: { owner: true } })
    assert.is(fs.statSync(at('of root')).mode & 0o7777, 0o6755)
  }),
)

test(
  "copyFile() without the owner drops the set-id bits of another's program",
  needs({ root: true }, () =>
    withAndWithoutRing(async () => {
      fs.writeFileSync(at('of another'), 'a program')
      fs.chownSync(at('of another'), 65534, 65534)
      fs.chmodSync(at('of another'), 0o6755)
      // A new file, then one in the place of that.
      for (let time = 0; time < 2; time++) {
        await copyFile(at('of another'), at('now of root'))
        const { mode, uid } = fs.statSync(at('now of root'))
        assert.equal([mode & 0o7777, uid], [0o755, 0])
      }
      fs.unlinkSync(at('now of root'))
    }),
  ),
)

test('a process that is killed in mid-copy leaves the target as it was', async () => {
  fs.writeFileSync(at('old'), 'the old target')
  fs.writeFileSync(at('large'), distinctBytes(64 * 2 ** 20))
  const index = new URL('../../src/transfer/index.ts', import.meta.url).href
  const code = `import { copyFile } from '${index}'
    process.stdout.write('ready')
    for (;;) await copyFile(process.argv[1], process.argv[2], {
      methods: ['ring', 'node'], progressIntervalMs: 0, bufferSize: 4096, depth: 1,
      onProgress({ bytes }) { if (bytes > 2 ** 20) process.stdout.write('.') },
    })`
  const args = ['--import', 'tsx', '--input-type=module', '-e', code, at('large'), at('old')]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (text) => {
    output += text
  })
  while (!output.includes('.')) await sleep(5)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.is(fs.readFileSync(at('old'), 'utf8'), 'the old target')
  // SIGKILL lets nobody clean up: what is left says what it is.
  for (const name of leftovers(folder)) fs.rmSync(join(folder, name))
})

test('a copy that differs from its source is found by verify', async () => {
  const [one, other] = [at('one'), at('other')]
  fs.writeFileSync(one, 'the same length')
  fs.writeFileSync(other, 'the same lengtH')
  const [source, target] = [fs.openSync(one, 'r'), fs.openSync(other, 'r+')]
  try {
    for (const ring of [null, defaultUring()]) {
      const verifying = verifyCopy(
        { source, target, path: other },
        'sha256',
        { ring } as CopySession,
        () => {},
      )
      await assert.rejects(verifying, { code: 'ERR_COPY_MISMATCH', path: other })
    }
  } finally {
    fs.closeSync(source)
    fs.closeSync(target)
  }
})

test.run()
