import { openUring, listenTcp, turns, until } from './ou-sq.js'
import { connect } from 'node:net'
async function main() {
  const u = openUring()
  process.on('exit', () => console.log('exit', n, u.inFlight, u.driver.counters, u.driver.ring.closed))
  let n = 0
  const l = await listenTcp(u)
  console.log('listening')
  const socks: any[] = []
  ;(async () => {
  for (let i = 0; i < 16; i++) { await Promise.all(Array.from({length: 64}, () => new Promise((r) => socks.push(connect(l.port, '127.0.0.1', () => r(1)).on('error', (e) => console.log(e))))))
  }})()
  for await (const fd of u.acceptMultishot(l.fd)) { n++; if (n === 1000) break }
  console.log('done', n)
  for (const s of socks) s.destroy()
  await turns(5)
  await u.close()
  console.log('closed')
}
main()
