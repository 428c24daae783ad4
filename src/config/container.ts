// Detects signs of a rootless container. They are only reported here; sqpoll-policy.ts decides by the
// kernel's age whether SQPOLL is skipped because of them.

import type { Machine } from './machine.js'

/** Which sign of a container was found first, or `not-rootless`. */
export type RootlessSignal = 'non-identity-uid-map' | 'podman-containerenv' | 'docker-env' | 'not-rootless'

/** Whether all user ids map to themselves: there is no user namespace, or one that changes nothing. */
function isIdentityMap(text: string): boolean {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  // An empty map tells nothing, so the marker files decide.
  if (lines.length === 0) return true
  return lines.length === 1 && lines[0]!.trim().split(/\s+/).join(' ') === '0 0 4294967295'
}

const found = new WeakMap<Machine, RootlessSignal>()

/**
 * Looks for the signs of a rootless container: a user id map that is not the identity, then the marker files
 * of Podman and Docker. The marker files also exist in containers that run as real root, so the result names
 * a sign and proves nothing. It is determined once, since it does not change while the process lives.
 *
 * @see user_namespaces(7)
 */
export function rootlessSignal(machine: Machine): RootlessSignal {
  const known = found.get(machine)
  if (known !== undefined) return known
  const signal = lookForSignal(machine)
  found.set(machine, signal)
  return signal
}

function lookForSignal(machine: Machine): RootlessSignal {
  if (machine.platform !== 'linux') return 'not-rootless'
  const map = machine.readFile('/proc/self/uid_map')
  if (map !== null && !isIdentityMap(map)) return 'non-identity-uid-map'
  if (machine.exists('/run/.containerenv')) return 'podman-containerenv'
  if (machine.exists('/.dockerenv')) return 'docker-env'
  return 'not-rootless'
}
