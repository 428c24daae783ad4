// For tests that measure time, or take much of it: how much slower than usual this machine may be. test/run.ts is told by
// TEST_TIMEOUT_MS, as on an emulated processor.

/** The guests of `npm run test:kernels` give a file twenty minutes, and are ten times as slow. */
const MS_FOR_EACH_TIME = 120_000

/** How many times as slow as a usual machine this one is to be taken for. */
export const PATIENCE = Math.max(1, Number(process.env['TEST_TIMEOUT_MS'] ?? 0) / MS_FOR_EACH_TIME)

/** The processor is emulated, as in the guests of `npm run test:kernels`, or as slow. */
export const IS_EMULATED = PATIENCE > 4

/**
 * The kernel that can be told to have no thread left. That of 5.15 tries for ever to start one, and on an emulated processor
 * nothing else goes on in the process then.
 */
export const LINUX_WITHOUT_THREADS = IS_EMULATED ? '5.16' : '5.13'

/** How much of what is random or endures, in rounds, connections or bytes: a tenth at least, where the machine is slow. */
export function scaled(usual: number): number {
  return Math.ceil(usual / Math.min(PATIENCE, 10))
}
