// Thousands of connections to one port, which talk when told to by a line on the standard input; the answer is how many
// have heard what they said.

import { createInterface } from 'node:readline'
import { connect, type Socket } from '../../../src/net/index.js'

const [port, count] = process.argv.slice(2).map(Number) as [number, number]
const clients: Socket[] = []
while (clients.length < count) {
  const batch = Array.from({ length: Math.min(500, count - clients.length) }, () =>
    connect({ port, host: '127.0.0.1' }),
  )
  clients.push(...(await Promise.all(batch)))
}
// Everyone reads, and has nothing to read.
const replies = clients.map((client) => client.read())
console.log('connected')

for await (const line of createInterface(process.stdin)) {
  const every = Number(line)
  const talkers = [...clients.keys()].filter((index) => index % every === 0)
  for (const index of talkers) clients[index]!.write(`${every} ${index}`)
  let answers = 0
  for (const index of talkers) {
    if (String(await replies[index]) === `${every} ${index}`) answers++
    replies[index] = clients[index]!.read()
  }
  console.log(answers)
}
for (const client of clients) client.destroy()
await Promise.allSettled(replies)
