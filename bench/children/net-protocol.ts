// What the servers of the `net` suite have in common: how they say where they listen, when they leave, and the answer
// to an HTTP request.

import type { IncomingMessage, ServerResponse } from 'node:http'

export function announcePort(port: number): void {
  process.stdout.write(`${JSON.stringify({ ready: true, port })}\n`)
}

export function leaveWithStdin(): void {
  process.stdin.resume().on('end', () => process.exit(0))
}

const BODY = Buffer.from('Hello, world!\n')

export function answerHello(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': BODY.length })
  response.end(BODY)
}
