// What npm publishes: the tarball itself, judged by publint and arethetypeswrong, and a program that installs it.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { publint } from 'publint'
import { assert, needs, test } from '../harness.js'
import { install, pack, root, run } from './consumer.js'

interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<'types' | 'default', string>>>>
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly main: string
  readonly types: string
}

const tarball = pack()
const consumer = install(tarball)
const installed = join(consumer, 'node_modules', 'uring')
const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest
const entries = Object.entries(manifest.exports).flatMap(([path, target]) =>
  typeof target === 'string' ? [] : [{ name: path.replace(/^\./, 'uring'), ...target }],
)

/** Node loads ES modules through require() without a flag: 20.19, 22.12 and later. */
const canRequire = (): true | string =>
  (process.features as { require_module?: boolean }).require_module === true ||
  `require() of an ES module needs Node 20.19 or 22.12, this is ${process.version}`

test('publint finds nothing', async () => {
  const { messages } = await publint({ pkgDir: installed, strict: true, pack: false })
  assert.equal(messages, [])
})

test('arethetypeswrong finds nothing', () => {
  const attw = join(root, 'node_modules', '.bin', 'attw')
  const { status, stdout, stderr } = run(
    attw,
    [tarball, '--profile', 'esm-only', '--format', 'json'],
    consumer,
  )
  assert.is(status, 0, stdout + stderr)
  const { analysis } = JSON.parse(stdout) as {
    analysis: { entrypoints: Record<string, unknown>; problems: { kind: string; resolutionKind?: string }[] }
  }
  // Each entry was looked at, and the one thing said is that CommonJS gets ES modules.
  assert.equal(
    Object.keys(analysis.entrypoints).filter((path) => path !== './package.json'),
    entries.map(({ name }) => name.replace(/^uring/, '.')),
  )
  const serious = analysis.problems.filter(
    ({ kind, resolutionKind }) => resolutionKind !== 'node10' && kind !== 'CJSResolvesToESM',
  )
  assert.equal(serious, [])
})

test('every entry, the command and the manual are in the package, and nothing of the tests', () => {
  for (const { name, types, default: module } of entries) {
    for (const path of [types, module]) assert.ok(existsSync(join(installed, path)), `${name}: ${path}`)
  }
  for (const path of [manifest.main, manifest.types, ...Object.values(manifest.bin)]) {
    assert.ok(existsSync(join(installed, path)), path)
  }
  for (const path of ['README.md', 'LICENSE', 'CHANGELOG.md', 'docs/api.md', 'man/uring.1']) {
    assert.ok(existsSync(join(installed, path)), path)
  }
  assert.equal(
    readdirSync(installed).filter((name) => /^(test|bench|scripts|node_modules|\..*)$/.test(name)),
    [],
  )
})

test('nothing in the package was compiled, and it runs no script when it is installed', () => {
  const native = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(node|so|a|o|gyp|c|h)$/.test(name),
  )
  assert.equal(native, [])
  const { scripts = {} } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    scripts?: Record<string, string>
  }
  const hooks = ['preinstall', 'install', 'postinstall', 'prepare'].filter((hook) => hook in scripts)
  assert.equal(hooks, [])
})

test('a TypeScript program of the strictest kind finds the types of every entry', () => {
  symlinkSync(join(root, 'node_modules', '@types'), join(consumer, 'node_modules', '@types'))
  const lines = entries.map(
    ({ name }, index) => `import * as entry${index} from '${name}'\nvoid entry${index}`,
  )
  lines.push(
    "import { Uring } from 'uring'",
    "import promises, { readFile } from 'uring/fs'",
    'async function main(): Promise<number> {',
    '  await using uring = Uring.open({ sqEntries: 8 })',
    "  const text: string = await readFile('/etc/hostname', 'utf8')",
    '  // @ts-expect-error an option that is none',
    '  await uring.read(0, new Uint8Array(8), { ofset: 1 })',
    "  return text.length + (await promises.stat('/')).size",
    '}',
    'void main',
  )
  writeFileSync(join(consumer, 'program.mts'), `${lines.join('\n')}\n`)
  const options = {
    target: 'ES2022',
    lib: ['ES2023', 'ESNext.Disposable', 'ES2024.ArrayBuffer'],
    module: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    types: ['node'],
  }
  // Declarations of the package are checked as well: no skipLibCheck for it.
  writeFileSync(
    join(consumer, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...options, skipLibCheck: false }, files: ['program.mts'] }),
  )
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = run(process.execPath, [tsc, '-p', 'tsconfig.json'], consumer)
  const ours = stdout
    .split('\n')
    .filter((line) => /error/.test(line) && !line.includes('node_modules/@types/'))
  assert.equal(ours, [])
})

for (const { name } of entries) {
  test(`${name} is imported by a program without a build`, () => {
    const { status, stderr } = run(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `const entry = await import('${name}'); if (Object.keys(entry).length === 0) throw 0`,
      ],
      consumer,
    )
    assert.is(status, 0, stderr)
    assert.is(stderr, '')
  })

  test(
    `require('${name}') gives a CommonJS program the same`,
    needs({ when: canRequire }, () => {
      const program = `import('${name}').then((entry) => {
        const required = require('${name}')
        for (const key of Object.keys(entry)) if (required[key] !== entry[key]) throw new Error(key)
      })`
      const { status, stderr } = run(process.execPath, ['-e', program], consumer)
      assert.is(status, 0, stderr)
    }),
  )
}

test(
  'a CommonJS program reads a file through the package',
  needs({ linux: '5.6', when: canRequire }, () => {
    const program = `const { Uring } = require('uring')
      const { readFile } = require('uring/fs')
      readFile('package.json', 'utf8').then((text) => {
        const uring = Uring.open()
        return uring.nop().then((res) => (console.log(text.trim(), res), uring.close()))
      })`
    const { status, stdout, stderr } = run(process.execPath, ['-e', program], consumer)
    assert.is(status, 0, stderr)
    assert.match(stdout, /"private": ?true/)
  }),
)

// npm leaves optional dependencies out when it is told to, and sometimes when it is not; Node's permission model refuses all
// addons.
const WITHOUT_KOFFI = `
  import { readFile } from 'uring/fs'
  import { createServer, connect } from 'uring/net'
  import { copyFile } from 'uring/transfer'
  import { availability } from 'uring/config'
  import { Uring } from 'uring'
  const server = createServer(async (socket) => { for await (const chunk of socket) await socket.write(chunk) })
  await server.listen({ port: 0, host: '127.0.0.1' })
  const socket = await connect({ port: server.address().port, host: '127.0.0.1' })
  socket.write('echo')
  const echo = String(await socket.read())
  await socket.end()
  await server.close()
  let code
  try { Uring.open() } catch (error) { code = error.code }
  console.log(JSON.stringify([(await readFile('package.json', 'utf8')).length > 0, echo, code, availability().reason]))`

for (const [what, hide, flags] of [
  ['its binary', true, []],
  ['the permission to load it', false, permissionFlags()],
] as const) {
  test(
    `without koffi, for want of ${what}, Node's own modules serve`,
    needs({ linux: '5.1' }, () => {
      const binaries = join(consumer, 'node_modules', '@koromix')
      if (hide) renameSync(binaries, `${binaries}-hidden`)
      try {
        const args = [...flags, '--input-type=module', '-e', WITHOUT_KOFFI]
        const { status, stdout, stderr } = run(process.execPath, args, consumer)
        assert.is(status, 0, stderr)
        const [hasRead, echo, code, reason] = JSON.parse(stdout)
        assert.ok(hasRead)
        assert.is(echo, 'echo')
        assert.is(code, 'ENOSYS')
        assert.match(reason, /^io_uring: disabled because the C library cannot be loaded: koffi: \w/)
      } finally {
        if (hide) renameSync(`${binaries}-hidden`, binaries)
      }
    }),
  )
}

const RESTRICTED = `
  import { readFile, writeFile } from 'uring/fs'
  import { bind, createServer } from 'uring/net'
  import { deltaFile, patchFile, signatureFile } from 'uring/transfer'
  import { Uring } from 'uring'
  const refused = await readFile('/etc/hostname').catch((error) => error.code)
  await writeFile('old', 'old')
  await signatureFile('old', 'signature')
  await deltaFile('signature', 'old', 'delta')
  const { backend } = await patchFile('old', 'delta', 'new')
  const socket = await bind({ port: 0, address: '127.0.0.1' })
  await socket.close()
  const uring = Uring.open()
  await uring.nop()
  await uring.close()
  console.log(JSON.stringify([refused, backend, createServer(() => {}).backend, socket.backend]))`

test(
  "under Node's permission model no ring is taken, but by who opens one",
  needs({ linux: '5.6', ring: true }, () => {
    const folder = join(consumer, 'restricted')
    mkdirSync(folder)
    const here = [`--allow-fs-read=${consumer}/*`, `--allow-fs-write=${folder}/*`]
    const [model = ''] = permissionFlags()
    const net = permissionFlags().filter((flag) => flag === '--allow-net')
    const args = [model, '--allow-addons', ...here, ...net, '--input-type=module', '-e', RESTRICTED]
    const { status, stdout, stderr } = run(process.execPath, args, folder)
    assert.is(status, 0, stderr)
    assert.equal(JSON.parse(stdout), ['ERR_ACCESS_DENIED', 'node:fs', 'node:net', 'node:dgram'])
  }),
)

/** What turns Node's permission model on, allowing all but addons. */
function permissionFlags(): string[] {
  const allowed = ['--allow-fs-read=*', '--allow-fs-write=*', '--allow-child-process', '--allow-worker']
  const { allowedNodeEnvironmentFlags: known } = process
  const model = known.has('--permission') ? '--permission' : '--experimental-permission'
  return [model, ...allowed, ...(known.has('--allow-net') ? ['--allow-net'] : [])]
}

test('the command runs', () => {
  const { status, stdout, stderr } = run(
    join(consumer, 'node_modules', '.bin', 'uring'),
    ['--help'],
    consumer,
  )
  assert.is(status, 0, stderr)
  assert.match(stdout, /doctor/)
})

test.run()
