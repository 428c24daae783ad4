// The strong checksums of librsync, by the package hash-wasm: node:crypto has no BLAKE2b of 256 bits, and OpenSSL 3 no
// MD4 unless its legacy provider is on.

import type { StrongSum } from './format.js'

/** A function to hash one block with. Its result is valid until the next call. */
export type StrongHash = (bytes: Uint8Array) => Uint8Array

/** Loads the package at first use: whoever only applies deltas does without it. */
export async function strongHash(kind: StrongSum): Promise<StrongHash> {
  const { createBLAKE2b, createMD4 } = await import('hash-wasm')
  const hasher = kind === 'blake2' ? await createBLAKE2b(256) : await createMD4()
  return (bytes) => hasher.init().update(bytes).digest('binary')
}
