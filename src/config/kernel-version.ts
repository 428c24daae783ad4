// Parses the kernel's release string into a version. The version serves to word messages, and decides the one
// thing that cannot be probed without being refused (SQPOLL in an old container). Everything else is asked of
// the kernel, since distributions backport features.

/** The numbers at the front of a kernel release. */
export interface KernelVersion {
  readonly major: number
  readonly minor: number
  /** 0 where the release names none, as `6.18-rc1` does. */
  readonly patch: number
}

/**
 * Reads the version out of a kernel release: `5.10.159-20950-g1` is 5.10.159, `6.1.0` is 6.1.0.
 *
 * @returns null for a release without a minor number, such as `5`, whose meaning is unclear.
 * @see uname(2)
 */
export function parseKernelRelease(release: string): KernelVersion | null {
  const match = /^(\d{1,5})\.(\d{1,5})(?:\.(\d{1,9}))?(?!\d)/.exec(release.trim())
  if (match === null) return null
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) }
}

/** Whether `version` is the release `wanted`, such as `'5.13'`, or a later one. */
export function isAtLeast(version: KernelVersion, wanted: string): boolean {
  const [major = 0, minor = 0] = wanted.split('.').map(Number)
  return version.major > major || (version.major === major && version.minor >= minor)
}
