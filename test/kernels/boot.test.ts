// What `npm run test:kernels` boots from: the mirror, the order of the modules, the archive of the initramfs.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpio, FOLDER, PROGRAM } from '../../scripts/kernels/cpio.js'
import { chooseMirror } from '../../scripts/kernels/debian.js'
import { guestScript } from '../../scripts/kernels/guest-script.js'
import { moduleOrder } from '../../scripts/kernels/kernel.js'
import { assert, test } from '../harness.js'

test('chooseMirror() takes the main archive, whatever else there is', () => {
  const targets =
    'http://a.example/updates/ Other\nhttp://b.example/security/ Debian-Security\nhttp://c.example/ Debian\n'
  assert.is(chooseMirror(targets), 'http://c.example/')
  assert.is(chooseMirror(''), null)
  assert.is(chooseMirror('http://a.example/ Ubuntu\n'), null)
})

test('moduleOrder() puts what a module depends on before it, once', () => {
  const text = [
    'kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko',
    'kernel/fs/jbd2/jbd2.ko:',
    'kernel/lib/crc16.ko:',
    'kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio.ko.xz',
    'kernel/drivers/virtio/virtio.ko.xz:',
    'kernel/crypto/crc32c-generic.ko:',
    'kernel/net/unused.ko:',
    '',
  ].join('\n')
  assert.equal(moduleOrder(text, ['virtio_pci', 'built_in', 'crc32c_generic', 'ext4', 'jbd2']), [
    'kernel/drivers/virtio/virtio.ko.xz',
    'kernel/drivers/virtio/virtio_pci.ko.xz',
    'kernel/crypto/crc32c-generic.ko',
    'kernel/fs/jbd2/jbd2.ko',
    'kernel/lib/crc16.ko',
    'kernel/fs/ext4/ext4.ko',
  ])
})

/** Reads an archive as the kernel does: a header of hexadecimal numbers, the name, the content, all in steps of four. */
function readCpio(archive: Buffer): { path: string; mode: number; content: string }[] {
  const found = []
  for (let at = 0; ; ) {
    assert.is(archive.toString('latin1', at, at + 6), '070701')
    const field = (index: number): number =>
      Number(`0x${archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8)}`)
    const aligned = (length: number): number => Math.ceil(length / 4) * 4
    const nameAt = at + 110
    const contentAt = at + aligned(110 + field(11))
    const path = archive.toString('latin1', nameAt, nameAt + field(11) - 1)
    if (path === 'TRAILER!!!') return found
    found.push({ path, mode: field(1), content: archive.toString('latin1', contentAt, contentAt + field(6)) })
    at = contentAt + aligned(field(6))
  }
}

test('cpio() writes what the kernel reads', () => {
  const content = Buffer.from('an odd number of bytes.')
  const archive = cpio([
    { path: 'bin', mode: FOLDER },
    { path: 'bin/program', mode: PROGRAM, content },
    { path: 'empty', mode: 0o100644 },
  ])
  assert.is(archive.length % 4, 0)
  assert.equal(readCpio(archive), [
    { path: 'bin', mode: 0o040755, content: '' },
    { path: 'bin/program', mode: 0o100755, content: String(content) },
    { path: 'empty', mode: 0o100644, content: '' },
  ])
})

test('guestScript() is a shell script, with the tests or the command in it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'uring-guest-'))
  try {
    const orders = { parts: ['test/ring/', 'test/fs/'], timeoutMs: 1000, jobs: 2 }
    for (const script of [guestScript(orders), guestScript({ ...orders, command: 'true && false' })]) {
      const path = join(folder, 'guest.sh')
      writeFileSync(path, script)
      const { status, stderr } = spawnSync('sh', ['-n', path], { encoding: 'utf8' })
      assert.is(status, 0, stderr)
    }
    assert.match(guestScript(orders), 'test/run.ts test/ring/ test/fs/')
    assert.match(guestScript({ ...orders, command: 'true && false' }), 'true && false')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.run()
