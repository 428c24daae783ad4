// Keeps one listener on each AbortSignal, however many operations wait for it: Node warns about more than a
// few listeners, and searches its list of them on every removal.

const listeners = new WeakMap<AbortSignal, Set<() => void>>()

/** Calls `onAbort` when the signal fires, until it is removed. */
export function addAbortListener(signal: AbortSignal, onAbort: () => void): void {
  let all = listeners.get(signal)
  if (all === undefined) {
    all = new Set()
    listeners.set(signal, all)
  }
  if (all.size === 0) signal.addEventListener('abort', tellAll)
  all.add(onAbort)
}

export function removeAbortListener(signal: AbortSignal, onAbort: () => void): void {
  const all = listeners.get(signal)
  if (all?.delete(onAbort) && all.size === 0) signal.removeEventListener('abort', tellAll)
}

function tellAll(this: AbortSignal): void {
  // A copy, because a callback may remove itself or others.
  for (const onAbort of [...(listeners.get(this) ?? [])]) onAbort()
}
