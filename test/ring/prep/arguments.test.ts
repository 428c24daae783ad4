import { assert, test } from '../../harness.js'
import { bytesOf, call, emptySqe, type Kind, prepCases } from './cases.js'

interface Bounds {
  readonly good: readonly (number | bigint)[]
  readonly bad: readonly unknown[]
  /** Kinds that take a bigint report a bad one as out of range, the others as of the wrong type. */
  readonly bigints: boolean
}

const NEVER = [Number.NaN, Number.POSITIVE_INFINITY, 2.5, '8', null, {}, Symbol('8'), true]
const MAX_SAFE = Number.MAX_SAFE_INTEGER

const BOUNDS: Readonly<Record<Kind, Bounds>> = {
  int32: {
    good: [-(2 ** 31), -1, 0, 2 ** 31 - 1],
    bad: [-(2 ** 31) - 1, 2 ** 31, 2 ** 32, 1n],
    bigints: false,
  },
  uint32: { good: [0, 2 ** 31, 2 ** 32 - 1], bad: [-1, 2 ** 32, MAX_SAFE, 1n], bigints: false },
  uint16: { good: [0, 65535], bad: [-1, 65536, 2 ** 32, 1n], bigints: false },
  flags: { good: [-(2 ** 31), -1, 0, 2 ** 32 - 1], bad: [-(2 ** 31) - 1, 2 ** 32, 1n], bigints: false },
  address: { good: [0, 2 ** 32, MAX_SAFE], bad: [-1, MAX_SAFE + 1, 1n], bigints: false },
  offset: {
    good: [-1, 0, 2 ** 32, MAX_SAFE, 0n, 2n ** 63n - 1n],
    bad: [-2, MAX_SAFE + 1, -1n, 2n ** 63n],
    bigints: true,
  },
  uint64: {
    good: [0, 2 ** 32, MAX_SAFE, 0n, 2n ** 64n - 1n],
    bad: [-1, MAX_SAFE + 1, -1n, 2n ** 64n],
    bigints: true,
  },
  fileIndex: { good: [0, 0xffff_fffd, 0xffff_ffff], bad: [-1, 0xffff_fffe, 2 ** 32, 1n], bigints: false },
}

const NOTHING = new Uint8Array(64)

function codeFor(value: unknown, bigints: boolean): string {
  const rightType = typeof value === 'number' || (bigints && typeof value === 'bigint')
  return rightType ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARG_TYPE'
}

for (const { prep, args } of prepCases) {
  if (args.length === 0) continue
  const values = args.map(([, , value]) => value)

  test(`${prep}() takes each argument up to its bounds`, () => {
    for (const [index, [name, kind]] of args.entries()) {
      for (const good of BOUNDS[kind].good) {
        assert.not.throws(
          () => call(prep, emptySqe(), values.with(index, good)),
          undefined,
          `${name} ${good}`,
        )
      }
    }
  })

  test(`${prep}() refuses a bad argument by name and leaves the entry a NOP`, () => {
    for (const [index, [name, kind]] of args.entries()) {
      const { bad, bigints } = BOUNDS[kind]
      for (const value of [...bad, ...NEVER]) {
        const sqe = emptySqe()
        let error: (Error & { code?: string }) | undefined
        try {
          call(prep, sqe, [...values.slice(0, index), value, ...values.slice(index + 1)])
        } catch (thrown) {
          error = thrown as Error
        }
        const shown = `${name} = ${String(value)}`
        assert.is(error?.code, codeFor(value, bigints), shown)
        assert.match(error!.message, `"${name}"`)
        assert.equal(bytesOf(sqe), NOTHING, shown)
      }
    }
  })
}

test('a refusal gives the bound and the value', () => {
  const message = (prep: Parameters<typeof call>[0], ...args: unknown[]): string => {
    try {
      call(prep, emptySqe(), args)
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  assert.match(
    message('prepRead', 2 ** 31, 0, 0, 0),
    /"fd".*>= -2147483648 and <= 2147483647\. Received 2147483648$/,
  )
  assert.match(message('prepRead', 1, 0, -1, 0), /"length".*>= 0 and <= 4294967295\. Received -1$/)
  assert.match(message('prepRead', 1, 0, 0, -2), /"offset".*-1 or an integer >= 0.*Received -2$/)
  assert.match(
    message('prepRead', 1, 0, 0, 2n ** 63n),
    /"offset".*<= 9223372036854775807n\. Received 9223372036854775808n$/,
  )
  assert.match(
    message('prepRead', 1, 0, 0, '8'),
    /"offset".*number or bigint\. Received type string \('8'\)$/,
  )
  assert.match(
    message('prepOpenDirect', 1, 0, 0, 0xffff_fffe),
    /"fileIndex".*<= 4294967293, or IORING_FILE_INDEX_ALLOC/,
  )
})

test.run()
