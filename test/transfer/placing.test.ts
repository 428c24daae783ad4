// What gets a name that others may take at any moment.

import fs from 'node:fs'
import { join } from 'node:path'
import { placeBeside } from '../../src/transfer/copy/placing.js'
import { assert, test } from '../harness.js'
import { copyFolder } from './copy-fixture.js'

const folder = copyFolder()
const target = join(folder, 'target')

async function make(path: string): Promise<void> {
  fs.writeFileSync(path, 'made')
}

test('placeBeside() replaces what is there, or leaves it', async () => {
  fs.writeFileSync(target, 'old')
  assert.is(await placeBeside(target, false, make), false)
  assert.is(fs.readFileSync(target, 'utf8'), 'old')
  assert.is(await placeBeside(target, true, make), true)
  assert.is(fs.readFileSync(target, 'utf8'), 'made')
  fs.unlinkSync(target)
  assert.is(await placeBeside(target, false, make), true)
  assert.is(fs.readFileSync(target, 'utf8'), 'made')
  assert.equal(fs.readdirSync(folder), ['target'])
  fs.unlinkSync(target)
})

test('placeBeside() that is to replace nothing leaves what has taken the name meanwhile', async () => {
  const isPlaced = await placeBeside(target, false, async (path) => {
    await make(path)
    fs.writeFileSync(target, "another's")
  })
  assert.is(isPlaced, false)
  assert.is(fs.readFileSync(target, 'utf8'), "another's")
  assert.equal(fs.readdirSync(folder), ['target'])
  fs.unlinkSync(target)
})

test('placeBeside() leaves nothing of what could not be made', async () => {
  const failing = placeBeside(target, true, async (path) => {
    await make(path)
    throw new Error('on purpose')
  })
  await assert.rejects(failing, /on purpose/)
  assert.equal(fs.readdirSync(folder), [])
})

test.run()
