import { invalidType, nodeError, outOfRange } from "./errors.ts";

type Define = (name: string, method: unknown) => void;

const dataView = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function checkOffset(bytes: Uint8Array, offset: unknown, size: number): number {
  if (typeof offset !== "number") throw invalidType("offset", "number", offset);
  if (!Number.isInteger(offset)) throw outOfRange("offset", "an integer", offset);
  const last = bytes.length - size;
  if (last < 0)
    throw nodeError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", "Attempt to access memory outside buffer bounds");
  if (offset < 0 || offset > last) throw outOfRange("offset", `>= 0 and <= ${last}`, offset);
  return offset;
}

/** `readUInt8` … `writeDoubleBE`, over DataView's methods of like names. */
export function defineNumbers(define: Define): void {
  for (const signed of [false, true]) {
    for (const bits of [8, 16, 32] as const) integer(define, signed, bits);
    big(define, signed);
    variable(define, signed);
  }
  for (const [name, kind, size] of [
    ["Float", "Float32", 4],
    ["Double", "Float64", 8],
  ] as const) {
    for (const little of [true, false]) {
      const end = little ? "LE" : "BE";
      define(`read${name}${end}`, function (this: Uint8Array, offset = 0) {
        return dataView(this)[`get${kind}`](checkOffset(this, offset, size), little);
      });
      define(`write${name}${end}`, function (this: Uint8Array, value: number, offset = 0) {
        dataView(this)[`set${kind}`](checkOffset(this, offset, size), Number(value), little);
        return offset + size;
      });
    }
  }
}

function integer(define: Define, signed: boolean, bits: 8 | 16 | 32): void {
  const size = bits / 8;
  const kind = `${signed ? "Int" : "Uint"}${bits}` as const;
  const [low, high] = signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  for (const little of bits === 8 ? [true] : [true, false]) {
    const end = bits === 8 ? "" : little ? "LE" : "BE";
    const read = function (this: Uint8Array, offset = 0) {
      return dataView(this)[`get${kind}`](checkOffset(this, offset, size), little);
    };
    const write = function (this: Uint8Array, value: number, offset = 0) {
      const number = Number(value);
      if (number < low || number > high)
        throw outOfRange(
          "value",
          bits === 32 && signed ? ">= -(2 ** 31) and < 2 ** 31" : `>= ${low} and <= ${high}`,
          value,
        );
      dataView(this)[`set${kind}`](checkOffset(this, offset, size), number, little);
      return offset + size;
    };
    for (const name of signed ? [`Int${bits}${end}`] : [`UInt${bits}${end}`, `Uint${bits}${end}`]) {
      define(`read${name}`, read);
      define(`write${name}`, write);
    }
  }
}

function big(define: Define, signed: boolean): void {
  const kind = signed ? "BigInt64" : "BigUint64";
  const [low, high] = signed ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
  for (const little of [true, false]) {
    const end = little ? "LE" : "BE";
    const read = function (this: Uint8Array, offset = 0) {
      return dataView(this)[`get${kind}`](checkOffset(this, offset, 8), little);
    };
    const write = function (this: Uint8Array, value: bigint, offset = 0) {
      if (value < low || value > high)
        throw outOfRange(
          "value",
          signed ? ">= -(2n ** 63n) and < 2n ** 63n" : ">= 0n and < 2n ** 64n",
          value,
        );
      dataView(this)[`set${kind}`](checkOffset(this, offset, 8), value, little);
      return offset + 8;
    };
    for (const name of signed ? [`BigInt64${end}`] : [`BigUInt64${end}`, `BigUint64${end}`]) {
      define(`read${name}`, read);
      define(`write${name}`, write);
    }
  }
}

/** Integers of one to six bytes. */
function variable(define: Define, signed: boolean): void {
  for (const little of [true, false]) {
    const end = little ? "LE" : "BE";
    const at = (offset: number, size: number, i: number) => offset + (little ? size - 1 - i : i);
    const read = function (this: Uint8Array, offset: number, size: number) {
      const from = checkOffset(this, offset, checkSize(size));
      let value = 0;
      for (let i = 0; i < size; i++) value = value * 256 + this[at(from, size, i)]!;
      return signed && value >= 2 ** (size * 8 - 1) ? value - 2 ** (size * 8) : value;
    };
    const write = function (this: Uint8Array, value: number, offset: number, size: number) {
      const from = checkOffset(this, offset, checkSize(size));
      const [low, high] = signed
        ? [-(2 ** (size * 8 - 1)), 2 ** (size * 8 - 1) - 1]
        : [0, 2 ** (size * 8) - 1];
      if (value < low || value > high) throw outOfRange("value", `>= ${low} and <= ${high}`, value);
      let rest = value < 0 ? value + 2 ** (size * 8) : Math.trunc(value);
      for (let i = size - 1; i >= 0; i--) {
        this[at(from, size, i)] = rest % 256;
        rest = Math.floor(rest / 256);
      }
      return offset + size;
    };
    for (const name of signed ? [`Int${end}`] : [`UInt${end}`, `Uint${end}`]) {
      define(`read${name}`, read);
      define(`write${name}`, write);
    }
  }
}

function checkSize(size: unknown): number {
  if (typeof size !== "number") throw invalidType("byteLength", "number", size);
  if (!(size >= 1 && size <= 6)) throw outOfRange("byteLength", ">= 1 and <= 6", size);
  return size;
}
