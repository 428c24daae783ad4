// Errors of datagram sockets, with the codes and messages of node:dgram.

function coded<E extends Error>(error: E, code: string): E {
  return Object.assign(error, { code })
}

export function notConnected(): Error {
  return coded(new Error('Not connected'), 'ERR_SOCKET_DGRAM_NOT_CONNECTED')
}

export function alreadyConnected(): Error {
  return coded(new Error('Already connected'), 'ERR_SOCKET_DGRAM_IS_CONNECTED')
}

export function notRunning(): Error {
  return coded(new Error('Not running'), 'ERR_SOCKET_DGRAM_NOT_RUNNING')
}

/** @param port - The value that was given as one. */
export function badPort(name: string, port: unknown, allowsZero: boolean): Error {
  const received = port === undefined ? 'undefined' : `type ${typeof port} (${String(port)})`
  const error = new RangeError(
    `${name} should be ${allowsZero ? '>=' : '>'} 0 and < 65536. Received ${received}.`,
  )
  return coded(error, 'ERR_SOCKET_BAD_PORT')
}
