// In a worker data goes through the driver's memory: a worker that is terminated takes its ArrayBuffers with it.

import { once } from 'node:events'
import nodeSync from 'node:fs'
import { Worker } from 'node:worker_threads'
// Watches for workers that end.
import '../../src/fs/index.js'
import { descriptorsOf } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { until } from '../runtime/fixture.js'
import { scratch } from './scratch.js'

const SOURCE = new URL('../../src/fs/index.ts', import.meta.url).href

function startWorker(body: string): Worker {
  const text = `
    import { parentPort, workerData } from 'node:worker_threads'
    import assert from 'node:assert'
    import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))}
    register()
    const fs = await import(${JSON.stringify(SOURCE)})
    const { dir } = workerData
    ${body}`
  const url = new URL(`data:text/javascript,${encodeURIComponent(text)}`)
  return new Worker(url, { workerData: { dir: scratch('.') } })
}

test(
  'everything works in a worker, through copies',
  needs({ ring: true }, async () => {
    const worker = startWorker(`
    const big = Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, i) => i * 7 >> 2))
    await fs.writeFile(dir + '/big', big)
    assert.ok((await fs.readFile(dir + '/big')).equals(big))
    await fs.writeFile(dir + '/text', 'text '.repeat(10_000), { durable: true })
    assert.equal((await fs.readFile(dir + '/text', 'utf8')).length, 50_000)
    const handle = await fs.open(dir + '/handle', 'w+')
    await handle.writev([Buffer.from('ab'), new Uint16Array([0x6463]), Buffer.from('e')])
    await handle.write(Buffer.from('0xyz'), 1, 2)
    const parts = [Buffer.alloc(3), Buffer.alloc(10)]
    assert.equal((await handle.readv(parts, 0)).bytesRead, 7)
    assert.equal(Buffer.concat(parts).toString('utf8', 0, 7), 'abcdexy')
    const target = Buffer.alloc(6, '-')
    assert.equal((await handle.read(target, 1, 4, 2)).bytesRead, 4)
    assert.equal(target.toString(), '-cdex-')
    assert.equal(await handle.readFile('utf8'), '')
    await handle.close()
    assert.ok((await fs.stat(dir + '/big')).size === 2_000_000)
    parentPort.postMessage('done')`)
    const [message] = await once(worker, 'message')
    assert.is(message, 'done')
    await worker.terminate()
  }),
)

test(
  'a worker that ends, exits, throws or is terminated leaves none of its files open, as with node:fs',
  needs({ ring: true }, async () => {
    const path = scratch('held')
    nodeSync.writeFileSync(path, 'held')
    const endings: Readonly<Record<string, string>> = {
      end: '',
      exit: 'process.exit(0)',
      throw: "setTimeout(() => { throw new Error('on purpose') }, 1)",
      terminate: 'setInterval(() => {}, 1000)',
    }
    for (const [how, ending] of Object.entries(endings)) {
      const worker = startWorker(`
      globalThis.handles = [await fs.open(dir + '/held'), await fs.open(dir + '/held', 'r+')]
      await (await fs.open(dir + '/held')).close()
      parentPort.postMessage(globalThis.handles.map(({ fd }) => fd))
      ${ending}`)
      worker.on('error', (error) => assert.is(error.message, 'on purpose'))
      const ended = new Promise((resolve) => worker.once('exit', resolve))
      // Not events.once, which would reject for an error that comes before the message is looked at.
      const fds = await new Promise<number[]>((resolve) => worker.once('message', resolve))
      assert.is(fds.length, 2)
      if (how === 'terminate') {
        assert.is(descriptorsOf(path).length, 2)
        void worker.terminate()
      }
      await ended
      await until(() => descriptorsOf(path).length === 0, `${how}: no descriptor left`)
    }
  }),
)

test(
  'a worker may be terminated in the middle of it all',
  needs({ ring: true }, async () => {
    nodeSync.writeFileSync(scratch('busy'), Buffer.alloc(100_000))
    for (let round = 0; round < 5; round++) {
      const worker = startWorker(`
      const spin = async () => { for (;;) { await fs.readFile(dir + '/busy'); await fs.writeFile(dir + '/busy-' + Math.random(), 'x'.repeat(50_000)); await fs.stat(dir) } }
      for (let i = 0; i < 20; i++) spin()
      setTimeout(() => parentPort.postMessage('busy'), 20)`)
      await once(worker, 'message')
      await worker.terminate()
    }
    assert.is(nodeSync.readFileSync(scratch('busy')).length, 100_000)
  }),
)

test.run()
