// A real program, unmodified: isomorphic-git keeps a repository through uring/fs, and git itself judges what it wrote.

import { spawnSync } from 'node:child_process'
import { chmodSync, lstatSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import git from 'isomorphic-git'
import promises from '../../src/fs/index.js'
import { openedDefaultUring } from '../../src/runtime/index.js'
import { assert, needs, test } from '../harness.js'
import { scratch } from './scratch.js'

const fs = { promises }
let minute = 0
/** Each commit is a minute younger than the one before: isomorphic-git's log goes by that. */
const by = () => ({ name: 'Ada', email: 'ada@example.org', timestamp: 60 * ++minute, timezoneOffset: 0 })

/** Runs the real git, apart from the settings of whoever runs the tests. */
function realGit(dir: string, ...args: readonly string[]): string {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null', LC_ALL: 'C' }
  const { status, stdout, stderr } = spawnSync('git', ['-C', dir, ...args], { encoding: 'utf8', env })
  assert.is(status, 0, `git ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

function judge(dir: string): void {
  assert.not.match(realGit(dir, 'fsck', '--strict', '--full', '--no-dangling'), /error|warning|missing/)
  assert.is(realGit(dir, 'status', '--porcelain'), '')
}

/** Writes files by name, adds them and commits. */
async function commit(
  dir: string,
  message: string,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  for (const [filepath, content] of Object.entries(files)) {
    const path = `${dir}/${filepath}`
    await promises.mkdir(path.slice(0, path.lastIndexOf('/')), { recursive: true })
    await promises.writeFile(path, content)
  }
  await git.add({ fs, dir, filepath: Object.keys(files) })
  return git.commit({ fs, dir, message, author: by() })
}

async function keepRepository(dir: string): Promise<void> {
  await promises.mkdir(dir)
  await git.init({ fs, dir, defaultBranch: 'main' })
  const many = Array.from({ length: 150 }, (_, i) => [
    `src/part-${i % 7}/file-${i}.txt`,
    `line ${i}\n`.repeat(i),
  ])
  const first = await commit(dir, 'first', {
    'read me.txt': 'one\ntwo\nthree\n',
    ...Object.fromEntries(many),
  })
  writeFileSync(`${dir}/run.sh`, '#!/bin/sh\n')
  chmodSync(`${dir}/run.sh`, 0o755)
  await promises.symlink('read me.txt', `${dir}/link`)
  await git.add({ fs, dir, filepath: ['run.sh', 'link'] })
  const second = await git.commit({ fs, dir, message: 'an executable and a link', author: by() })
  judge(dir)
  assert.is(realGit(dir, 'rev-parse', 'HEAD').trim(), second)
  assert.is(realGit(dir, 'rev-parse', 'HEAD~1').trim(), first)
  assert.match(realGit(dir, 'ls-tree', 'HEAD', 'run.sh', 'link'), /^120000 .*\tlink\n100755 .*\trun.sh\n$/)

  // Two branches that change different files, merged.
  await git.branch({ fs, dir, ref: 'topic', checkout: true })
  await commit(dir, 'on the topic', { 'topic.txt': 'new\n', 'src/part-0/file-7.txt': 'changed on topic\n' })
  await git.remove({ fs, dir, filepath: 'src/part-1/file-1.txt' })
  await promises.rm(`${dir}/src/part-1/file-1.txt`)
  const topic = await git.commit({ fs, dir, message: 'one file less', author: by() })
  judge(dir)
  await git.checkout({ fs, dir, ref: 'main' })
  judge(dir)
  assert.is(readFileSync(`${dir}/src/part-0/file-7.txt`, 'utf8'), 'line 7\n'.repeat(7))
  assert.throws(() => lstatSync(`${dir}/topic.txt`), { code: 'ENOENT' })
  await commit(dir, 'on main', { 'read me.txt': 'one\n2\nthree\n' })
  const merged = await git.merge({ fs, dir, ours: 'main', theirs: 'topic', author: by(), message: 'both' })
  assert.is(merged.mergeCommit, true)
  await git.checkout({ fs, dir, ref: 'main' })
  judge(dir)
  assert.equal(realGit(dir, 'rev-list', '--parents', '-n', '1', 'HEAD').trim().split(' ')[2], topic)
  assert.is(readFileSync(`${dir}/src/part-0/file-7.txt`, 'utf8'), 'changed on topic\n')
  assert.is(readFileSync(`${dir}/read me.txt`, 'utf8'), 'one\n2\nthree\n')
  assert.throws(() => lstatSync(`${dir}/src/part-1/file-1.txt`), { code: 'ENOENT' })
  assert.is(readlinkSync(`${dir}/link`), 'read me.txt')
  assert.is(lstatSync(`${dir}/run.sh`).mode & 0o777, 0o755)

  // What is not committed looks the same to both.
  await promises.writeFile(`${dir}/read me.txt`, 'edited\n')
  await promises.writeFile(`${dir}/stray.txt`, '')
  await promises.unlink(`${dir}/topic.txt`)
  const changed = (await git.statusMatrix({ fs, dir })).filter(
    ([, head, work, stage]) => head !== work || work !== stage,
  )
  assert.equal(
    changed.map(([path, head, work]) => `${head}${work} ${path}`),
    ['12 read me.txt', '02 stray.txt', '10 topic.txt'],
  )
  assert.is(realGit(dir, 'status', '--porcelain'), ' M "read me.txt"\n D topic.txt\n?? stray.txt\n')
  const log = await git.log({ fs, dir })
  assert.is(log.map(({ oid }) => `${oid}\n`).join(''), realGit(dir, 'rev-list', '--date-order', 'HEAD'))
  assert.is(log.length, 6)

  // What git has packed, isomorphic-git reads.
  realGit(dir, 'gc', '--quiet')
  await git.checkout({ fs, dir, ref: 'topic', force: true })
  await promises.unlink(`${dir}/stray.txt`)
  judge(dir)
  assert.is(realGit(dir, 'rev-parse', 'HEAD').trim(), topic)
}

test(
  'isomorphic-git on uring/fs keeps a repository that git finds sound and clean',
  needs({ ring: true, command: 'git' }, async () => {
    await keepRepository(scratch('on a ring'))
    const { submitted } = openedDefaultUring()!.counters
    assert.ok(submitted > 1000, `only ${submitted} operations went through the ring`)
  }),
)

test(
  'and so it does when URING_DISABLE=1',
  needs({ command: 'git' }, async () => {
    const before = openedDefaultUring()?.counters.submitted
    process.env['URING_DISABLE'] = '1'
    try {
      await keepRepository(scratch('without a ring'))
    } finally {
      delete process.env['URING_DISABLE']
    }
    assert.is(openedDefaultUring()?.counters.submitted, before)
  }),
)

test.run()
