// Layouts of kernel structs, and access to their fields on cold paths. The hot paths (SQEs, CQEs, ring words)
// index typed arrays instead; a test checks both against the same layouts.

import { addressOf } from './memory.js'
import type { Address } from './numbers.js'

export type FieldType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'u64' | 'i64'

const SIZES: Readonly<Record<FieldType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
}

/** Where a field lies and what it holds; `count` above 1 is an array of that type. */
export interface Field {
  readonly offset: number
  readonly type: FieldType
  readonly count: number
}

/** A kernel struct: its C name, its size in bytes, its fields under their C names. */
export interface Layout<Name extends string = string> {
  readonly name: string
  readonly size: number
  readonly fields: Readonly<Record<Name, Field>>
}

type FieldSpec = readonly [offset: number, type: FieldType, count?: number]

/** Describes a kernel struct. `fields` maps each C field name to `[byte offset, type, array length]`. */
export function defineStruct<Name extends string>(
  name: string,
  size: number,
  fields: Readonly<Record<Name, FieldSpec>>,
): Layout<Name> {
  const full = {} as Record<Name, Field>
  for (const key of Object.keys(fields) as Name[]) {
    const [offset, type, count = 1] = fields[key]
    if (offset + SIZES[type] * count > size) throw new Error(`${name}.${key} ends past the struct`)
    full[key] = { offset, type, count }
  }
  return { name, size, fields: full }
}

/** One struct (or an array of them) in memory, little-endian. Cold paths only: a call per field. */
export class Struct<Name extends string> {
  readonly layout: Layout<Name>
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly #view: DataView
  #address = -1

  constructor(layout: Layout<Name>, bytes: Uint8Array<ArrayBuffer>) {
    this.layout = layout
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** A zeroed array of `count` structs in memory of its own. */
  static alloc<Name extends string>(layout: Layout<Name>, count = 1): Struct<Name> {
    // A whole ArrayBuffer, never a pooled Buffer: its memory lies outside the JavaScript heap and never moves.
    return new Struct(layout, new Uint8Array(new ArrayBuffer(layout.size * count)))
  }

  /** Address of the first byte; valid while this object is referenced. */
  get address(): Address {
    if (this.#address < 0) this.#address = addressOf(this.bytes)
    return this.#address
  }

  /** Reads a field of element `index`. 64-bit values beyond 2^53 lose precision: use `getBig`. */
  get(name: Name, index = 0, element = 0): number {
    const { type, at } = this.#locate(name, index, element)
    switch (type) {
      case 'u8':
        return this.#view.getUint8(at)
      case 'i8':
        return this.#view.getInt8(at)
      case 'u16':
        return this.#view.getUint16(at, true)
      case 'i16':
        return this.#view.getInt16(at, true)
      case 'u32':
        return this.#view.getUint32(at, true)
      case 'i32':
        return this.#view.getInt32(at, true)
      case 'u64':
        return Number(this.#view.getBigUint64(at, true))
      case 'i64':
        return Number(this.#view.getBigInt64(at, true))
    }
  }

  /** Reads a 64-bit field exactly. */
  getBig(name: Name, index = 0, element = 0): bigint {
    const { type, at } = this.#locate(name, index, element)
    if (type === 'i64') return this.#view.getBigInt64(at, true)
    if (type === 'u64') return this.#view.getBigUint64(at, true)
    return BigInt(this.get(name, index, element))
  }

  /** Writes a field of element `index`; returns this, so writes chain. */
  set(name: Name, value: number | bigint, index = 0, element = 0): this {
    const { type, at } = this.#locate(name, index, element)
    if (type === 'u64' || type === 'i64') this.#view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true)
    else if (SIZES[type] === 4) this.#view.setUint32(at, Number(value), true)
    else if (SIZES[type] === 2) this.#view.setUint16(at, Number(value), true)
    else this.#view.setUint8(at, Number(value))
    return this
  }

  /** Writes several fields of element `index`. */
  assign(values: Partial<Record<Name, number | bigint>>, index = 0): this {
    for (const name of Object.keys(values) as Name[]) this.set(name, values[name]!, index)
    return this
  }

  /** All scalar fields of element `index` as numbers; arrays and padding are left out. */
  toObject(index = 0): Record<Name, number> {
    const out = {} as Record<Name, number>
    for (const name of Object.keys(this.layout.fields) as Name[]) {
      if (this.layout.fields[name].count === 1) out[name] = this.get(name, index)
    }
    return out
  }

  #locate(name: Name, index: number, element: number): { type: FieldType; at: number } {
    const field = this.layout.fields[name]
    return { type: field.type, at: index * this.layout.size + field.offset + element * SIZES[field.type] }
  }
}
