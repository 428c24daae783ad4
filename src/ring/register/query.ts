// IORING_REGISTER_QUERY: what the running kernel knows, in one call and without a ring.

import {
  IO_URING_QUERY_HDR,
  IO_URING_QUERY_OPCODE,
  IO_URING_QUERY_OPCODES,
  IO_URING_QUERY_SCQ,
  IO_URING_QUERY_SCQ_STRUCT,
  IO_URING_QUERY_ZCRX,
  IO_URING_QUERY_ZCRX_STRUCT,
  IORING_REGISTER_QUERY,
} from '../../syscalls/abi/index.js'
import { type Layout, Struct } from '../../syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../syscalls/uring-calls.js'
import type { Ring } from '../ring.js'
import { callRegister, callWithoutRing, checkRegister } from './call.js'

/** One answer. */
export interface QueryAnswer<Value> {
  /** 0, or a negated errno: -EOPNOTSUPP for a question newer than the kernel. */
  readonly result: number
  /** Present when `result` is 0. Fields that the kernel does not know yet are 0. */
  readonly value?: Value
}

/** Counts are one past the last number; flags are masks of all that the kernel accepts. */
export interface QueriedOpcodes {
  readonly requestOpcodeCount: number
  readonly registerOpcodeCount: number
  /** `IORING_FEAT_*`. */
  readonly featureFlags: number
  /** `IORING_SETUP_*`. */
  readonly setupFlags: number
  /** `IORING_ENTER_*`. */
  readonly enterFlags: number
  /** `IOSQE_*`. */
  readonly sqeFlags: number
  readonly queryOpcodeCount: number
}

/** Zero-copy receive. */
export interface QueriedZcrx {
  /** `ZCRX_REG_*`. */
  readonly registerFlags: number
  /** `IORING_ZCRX_AREA_*`. */
  readonly areaFlags: number
  readonly controlOpcodeCount: number
  /** `ZCRX_FEATURE_*`. */
  readonly features: number
  readonly refillHeaderBytes: number
  readonly refillHeaderAlignment: number
}

/** Where the CQEs may start in a ring whose memory the caller provides (`IORING_SETUP_NO_MMAP`). */
export interface QueriedScq {
  readonly headerBytes: number
  readonly headerAlignment: number
}

/** The answers to all questions there are. */
export interface QueryReport {
  readonly opcodes: QueryAnswer<QueriedOpcodes>
  readonly zcrx: QueryAnswer<QueriedZcrx>
  readonly scq: QueryAnswer<QueriedScq>
}

interface Question<Name extends string> {
  readonly header: Struct<keyof typeof IO_URING_QUERY_HDR.fields>
  readonly data: Struct<Name>
}

type Send = (first: Question<string>['header'], touched: readonly unknown[]) => number

function question<Name extends string>(queryOp: number, layout: Layout<Name>): Question<Name> {
  const data = Struct.alloc(layout)
  const header = Struct.alloc(IO_URING_QUERY_HDR)
  header.assign({ query_data: data.address, query_op: queryOp, size: layout.size })
  return { header, data }
}

function answer<Name extends string, Value>(
  asked: Question<Name>,
  read: (data: Struct<Name>) => Value,
): QueryAnswer<Value> {
  const result = asked.header.get('result')
  return result < 0 ? { result } : { result, value: read(asked.data) }
}

function ask(send: Send): QueryReport {
  const opcodes = question(IO_URING_QUERY_OPCODES, IO_URING_QUERY_OPCODE)
  const zcrx = question(IO_URING_QUERY_ZCRX, IO_URING_QUERY_ZCRX_STRUCT)
  const scq = question(IO_URING_QUERY_SCQ, IO_URING_QUERY_SCQ_STRUCT)
  opcodes.header.set('next_entry', zcrx.header.address)
  zcrx.header.set('next_entry', scq.header.address)
  checkRegister(send(opcodes.header, [opcodes, zcrx, scq]), IORING_REGISTER_QUERY)
  return {
    opcodes: answer(opcodes, (data) => ({
      requestOpcodeCount: data.get('nr_request_opcodes'),
      registerOpcodeCount: data.get('nr_register_opcodes'),
      featureFlags: data.get('feature_flags'),
      setupFlags: data.get('ring_setup_flags'),
      enterFlags: data.get('enter_flags'),
      sqeFlags: data.get('sqe_flags'),
      queryOpcodeCount: data.get('nr_query_opcodes'),
    })),
    zcrx: answer(zcrx, (data) => ({
      registerFlags: data.get('register_flags'),
      areaFlags: data.get('area_flags'),
      controlOpcodeCount: data.get('nr_ctrl_opcodes'),
      features: data.get('features'),
      refillHeaderBytes: data.get('rq_hdr_size'),
      refillHeaderAlignment: data.get('rq_hdr_alignment'),
    })),
    scq: answer(scq, (data) => ({
      headerBytes: data.get('hdr_size'),
      headerAlignment: data.get('hdr_alignment'),
    })),
  }
}

/**
 * Asks the kernel for everything it can be asked, through a ring. Linux 6.18.
 *
 * @returns An answer for each question; one that the kernel does not know has a negative `result`.
 * @throws SystemError `io_uring_register`: EINVAL from an older kernel.
 * @see io_uring_register_query(3)
 */
export function query(ring: Ring): QueryReport {
  return ask((first, touched) => callRegister(ring, IORING_REGISTER_QUERY, first, 0, ...touched))
}

/**
 * As `query`, but without a ring: it works even before any ring can be set up. Linux 6.18.
 *
 * @param calls - The system calls; tests replace them.
 * @throws As `query`.
 */
export function queryKernel(calls: UringCalls = kernelCalls): QueryReport {
  return ask((first, touched) => callWithoutRing(calls, IORING_REGISTER_QUERY, first, 0, ...touched))
}
