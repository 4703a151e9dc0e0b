import { defineNumbers } from "./buffer-numbers.ts";
import { checkEncoding, type Encoding, encodingOf, fromBytes, toBytes } from "./encodings.ts";
import { invalidType, nodeError, outOfRange, unsupported } from "./errors.ts";

export const kMaxLength = Number.MAX_SAFE_INTEGER;
export const kStringMaxLength = 2 ** 29 - 24;
export const constants = { MAX_LENGTH: kMaxLength, MAX_STRING_LENGTH: kStringMaxLength };
export const INSPECT_MAX_BYTES = 50;

type Data = Uint8Array | string;

const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array;

/** The class behind `Buffer`: a Uint8Array with Node's methods. */
class FastBuffer extends Uint8Array<ArrayBuffer> {}

function view(bytes: ArrayBufferView<ArrayBuffer> | Uint8Array<ArrayBuffer>): Buffer {
  return new FastBuffer(bytes.buffer, bytes.byteOffset, bytes.byteLength) as unknown as Buffer;
}

function checkSize(size: unknown): number {
  if (typeof size !== "number") throw invalidType("size", "number", size);
  if (!(size >= 0 && size <= kMaxLength)) throw outOfRange("size", `>= 0 && <= ${kMaxLength}`, size);
  return Math.trunc(size);
}

function from(value: unknown, encodingOrOffset?: unknown, length?: unknown): Buffer {
  if (typeof value === "string") return view(toBytes(value, checkEncoding(encodingOrOffset)));
  if (typeof value === "object" && value !== null) {
    if (
      value instanceof ArrayBuffer ||
      (typeof SharedArrayBuffer === "function" && value instanceof SharedArrayBuffer)
    )
      return fromArrayBuffer(value as ArrayBuffer, encodingOrOffset, length);
    const primitive = (value as { valueOf?(): unknown }).valueOf?.();
    if (
      primitive !== undefined &&
      primitive !== null &&
      primitive !== value &&
      (typeof primitive === "string" || typeof primitive === "object")
    )
      return from(primitive, encodingOrOffset, length);
    if (isBytes(value) || ArrayBuffer.isView(value)) return view(new Uint8Array(value as Uint8Array));
    const { length: count, type, data } = value as { length?: unknown; type?: unknown; data?: unknown };
    if (count !== undefined)
      return typeof count === "number" && count > 0
        ? view(Uint8Array.from(value as ArrayLike<number>))
        : view(new Uint8Array(0));
    if (type === "Buffer" && Array.isArray(data)) return view(Uint8Array.from(data));
    const convert = (value as Partial<Record<symbol, (hint: string) => unknown>>)[Symbol.toPrimitive];
    if (typeof convert === "function") {
      const text = convert.call(value, "string");
      if (typeof text === "string") return from(text, encodingOrOffset);
    }
  }
  throw nodeError(
    TypeError,
    "ERR_INVALID_ARG_TYPE",
    `The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object. Received ${shown(value)}`,
  );
}

const shown = (value: unknown): string => {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return `an instance of ${value.constructor?.name ?? "Object"}`;
  if (typeof value === "function") return `function ${value.name}`;
  return `type ${typeof value} (${String(value)})`;
};

function fromArrayBuffer(buffer: ArrayBuffer, offset: unknown, length: unknown): Buffer {
  const start = offset === undefined ? 0 : Number(offset) || 0;
  const room = buffer.byteLength - start;
  if (room < 0)
    throw nodeError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"offset" is outside of buffer bounds');
  const size = length === undefined ? room : Math.max(0, Number(length) || 0);
  if (size > room)
    throw nodeError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"length" is outside of buffer bounds');
  return new FastBuffer(buffer, start, size) as unknown as Buffer;
}

function alloc(size: number, fill?: Data | number, encoding?: string): Buffer {
  const buffer = new FastBuffer(new ArrayBuffer(checkSize(size))) as unknown as Buffer;
  return fill === undefined || fill === 0 || size === 0
    ? buffer
    : buffer.fill(fill, encoding as BufferEncoding);
}

function concat(list: readonly Uint8Array[], totalLength?: number): Buffer {
  if (!Array.isArray(list)) throw invalidType("list", "Array", list);
  const total = totalLength ?? list.reduce((sum, { length }) => sum + length, 0);
  const result = new FastBuffer(new ArrayBuffer(checkSize(total)));
  let at = 0;
  for (const [i, part] of list.entries()) {
    if (!isBytes(part)) throw invalidType(`list[${i}]`, "Buffer or Uint8Array", part);
    if (at >= total) break;
    const piece = at + part.length > total ? part.subarray(0, total - at) : part;
    result.set(piece, at);
    at += piece.length;
  }
  return result as unknown as Buffer;
}

function byteLength(value: unknown, encoding?: string): number {
  if (typeof value !== "string") {
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
    throw nodeError(
      TypeError,
      "ERR_INVALID_ARG_TYPE",
      `The "string" argument must be of type string or an instance of Buffer or ArrayBuffer. Received ${shown(value)}`,
    );
  }
  switch (encodingOf(encoding) ?? "utf8") {
    case "latin1":
    case "ascii":
      return value.length;
    case "utf16le":
      return value.length * 2;
    case "hex":
      return value.length >>> 1;
    case "base64":
    case "base64url":
      return Math.floor((value.replace(/=+$/, "").length * 3) / 4);
    default:
      return toBytes(value, "utf8").length;
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  if (!isBytes(a)) throw invalidType("buf1", "Buffer or Uint8Array", a);
  if (!isBytes(b)) throw invalidType("buf2", "Buffer or Uint8Array", b);
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1;
  return Math.sign(a.length - b.length);
}

const statics = {
  poolSize: 8192,
  from,
  of: (...items: number[]) => view(Uint8Array.from(items)),
  alloc,
  allocUnsafe: (size: number) => alloc(size),
  allocUnsafeSlow: (size: number) => alloc(size),
  isBuffer: (value: unknown): value is Buffer => value instanceof FastBuffer,
  isEncoding: (name: unknown) => typeof name === "string" && name !== "" && encodingOf(name) !== undefined,
  byteLength,
  compare,
  concat,
  copyBytesFrom(source: ArrayBufferView, offset = 0, length?: number): Buffer {
    const items = source as unknown as Uint8Array;
    const part = items.subarray(offset, length === undefined ? undefined : offset + length);
    return view(new Uint8Array(part.buffer as ArrayBuffer, part.byteOffset, part.byteLength).slice());
  },
};

/** `Buffer(5)`, `new Buffer("text")` and the static methods. */
function BufferConstructor(value: unknown, encodingOrOffset?: unknown, length?: unknown): Buffer {
  return typeof value === "number" ? alloc(value) : from(value, encodingOrOffset, length);
}
Object.setPrototypeOf(BufferConstructor, Uint8Array);
BufferConstructor.prototype = FastBuffer.prototype;
Object.defineProperty(BufferConstructor, "name", { value: "Buffer" });
Object.defineProperty(FastBuffer.prototype, "constructor", {
  value: BufferConstructor,
  writable: true,
  configurable: true,
});
Object.assign(BufferConstructor, statics);
Object.defineProperty(BufferConstructor, Symbol.species, { get: () => FastBuffer });

function clampIndex(value: unknown, length: number, fallback: number): number {
  if (value === undefined) return fallback;
  const number = Math.trunc(Number(value)) || 0;
  return number < 0 ? Math.max(0, length + number) : Math.min(number, length);
}

/** `toString` takes negative starts as 0, unlike `slice`. */
const bound = (value: unknown, length: number, fallback: number): number =>
  value === undefined ? fallback : Math.min(Math.max(Math.trunc(Number(value)) || 0, 0), length);

function find(self: Uint8Array, value: unknown, start: unknown, encoding: unknown, last: boolean): number {
  let from = start;
  let name = encoding;
  if (typeof from === "string") {
    name = from;
    from = undefined;
  }
  if (typeof value === "number") {
    const byte = value & 0xff;
    const position = from === undefined ? (last ? self.length : 0) : Number(from);
    return last
      ? Uint8Array.prototype.lastIndexOf.call(self, byte, position)
      : Uint8Array.prototype.indexOf.call(self, byte, position);
  }
  if (typeof value !== "string" && !isBytes(value))
    throw invalidType("value", "number, string, Buffer or Uint8Array", value);
  const needle = typeof value === "string" ? toBytes(value, checkEncoding(name)) : value;
  let at =
    from === undefined || Number.isNaN(Number(from)) ? (last ? self.length : 0) : Math.trunc(Number(from));
  if (at < 0) at += self.length;
  if (at < 0) {
    if (last) return -1;
    at = 0;
  }
  if (needle.length === 0) return Math.min(at, self.length);
  const step = last ? -1 : 1;
  for (
    let i = last ? Math.min(at, self.length - needle.length) : at;
    i >= 0 && i + needle.length <= self.length;
    i += step
  ) {
    let j = 0;
    while (j < needle.length && self[i + j] === needle[j]) j++;
    if (j === needle.length) return i;
  }
  return -1;
}

const methods = {
  toString(this: Uint8Array, encoding?: unknown, start?: unknown, end?: unknown): string {
    const name = checkEncoding(encoding);
    if (start === undefined && end === undefined) return fromBytes(this, name);
    const last = bound(end, this.length, this.length);
    const first = bound(start, this.length, 0);
    return last <= first ? "" : fromBytes(Uint8Array.prototype.subarray.call(this, first, last), name);
  },
  toLocaleString(this: Buffer, encoding?: BufferEncoding): string {
    return this.toString(encoding);
  },
  toJSON(this: Uint8Array) {
    return { type: "Buffer", data: [...this] };
  },
  equals(this: Uint8Array, other: Uint8Array): boolean {
    if (!isBytes(other)) throw invalidType("otherBuffer", "Buffer or Uint8Array", other);
    return this === other || (this.length === other.length && compare(this, other) === 0);
  },
  compare(
    this: Uint8Array,
    target: Uint8Array,
    targetStart = 0,
    targetEnd = target?.length,
    start = 0,
    end = this.length,
  ): number {
    if (!isBytes(target)) throw invalidType("target", "Buffer or Uint8Array", target);
    return compare(
      Uint8Array.prototype.subarray.call(this, start, end),
      Uint8Array.prototype.subarray.call(target, targetStart, targetEnd),
    );
  },
  copy(this: Uint8Array, target: Uint8Array, targetStart = 0, start = 0, end = this.length): number {
    if (!isBytes(target)) throw invalidType("target", "Buffer or Uint8Array", target);
    if (targetStart < 0) throw outOfRange("targetStart", ">= 0", targetStart);
    if (start < 0 || start > this.length) throw outOfRange("sourceStart", `>= 0 && <= ${this.length}`, start);
    if (end < 0) throw outOfRange("sourceEnd", ">= 0", end);
    if (targetStart >= target.length || start >= end) return 0;
    const part = Uint8Array.prototype.subarray.call(
      this,
      start,
      Math.min(end, start + target.length - targetStart),
    );
    target.set(part, targetStart);
    return part.length;
  },
  subarray(this: Uint8Array, start?: number, end?: number): Buffer {
    const first = clampIndex(start, this.length, 0);
    const last = clampIndex(end, this.length, this.length);
    return new FastBuffer(
      this.buffer as ArrayBuffer,
      this.byteOffset + first,
      Math.max(0, last - first),
    ) as unknown as Buffer;
  },
  fill(this: Uint8Array, value: unknown, start?: unknown, end?: unknown, encoding?: unknown): Uint8Array {
    let [first, last, name] = [start, end, encoding];
    if (typeof first === "string") [first, last, name] = [undefined, undefined, first];
    else if (typeof last === "string") [last, name] = [undefined, last];
    const from = first === undefined ? 0 : Number(first);
    const to = last === undefined ? this.length : Number(last);
    if (from < 0 || from > this.length) throw outOfRange("offset", `>= 0 && <= ${this.length}`, from);
    if (to < 0 || to > this.length) throw outOfRange("end", `>= 0 && <= ${this.length}`, to);
    if (typeof value !== "string" && !isBytes(value)) {
      Uint8Array.prototype.fill.call(this, Number(value) & 0xff, from, to);
      return this;
    }
    const pattern = typeof value === "string" ? toBytes(value, checkEncoding(name)) : value;
    if (pattern.length === 0) {
      if (typeof value === "string" && value !== "")
        throw nodeError(
          TypeError,
          "ERR_INVALID_ARG_VALUE",
          `The argument 'value' is invalid. Received '${value}'`,
        );
      Uint8Array.prototype.fill.call(this, 0, from, to);
    } else for (let i = from; i < to; i++) this[i] = pattern[(i - from) % pattern.length]!;
    return this;
  },
  write(this: Uint8Array, text: string, offset?: unknown, length?: unknown, encoding?: unknown): number {
    if (typeof text !== "string") throw invalidType("argument", "string", text);
    let [at, most, name] = [offset, length, encoding];
    if (typeof at === "string") [at, most, name] = [undefined, undefined, at];
    else if (typeof most === "string") [most, name] = [undefined, most];
    const from = at === undefined ? 0 : Number(at);
    if (from < 0 || from > this.length) throw outOfRange("offset", `>= 0 && <= ${this.length}`, from);
    const room = Math.min(most === undefined ? this.length : Number(most), this.length - from);
    const kind = checkEncoding(name);
    const bytes = toBytes(text, kind);
    const fitting = bytes.length <= room ? bytes : bytes.subarray(0, wholeCharacters(bytes, room, kind));
    this.set(fitting, from);
    return fitting.length;
  },
  indexOf(this: Uint8Array, value: unknown, from?: unknown, encoding?: unknown): number {
    return find(this, value, from, encoding, false);
  },
  lastIndexOf(this: Uint8Array, value: unknown, from?: unknown, encoding?: unknown): number {
    return find(this, value, from, encoding, true);
  },
  includes(this: Uint8Array, value: unknown, from?: unknown, encoding?: unknown): boolean {
    return find(this, value, from, encoding, false) >= 0;
  },
  swap16(this: Uint8Array) {
    return swap(this, 2);
  },
  swap32(this: Uint8Array) {
    return swap(this, 4);
  },
  swap64(this: Uint8Array) {
    return swap(this, 8);
  },
  inspect(this: Uint8Array): string {
    const hex = Uint8Array.prototype.subarray
      .call(this, 0, INSPECT_MAX_BYTES)
      .toHex()
      .replace(/..(?!$)/g, "$& ");
    const more = this.length - INSPECT_MAX_BYTES;
    return `<Buffer${hex === "" ? "" : ` ${hex}`}${more > 0 ? ` ... ${more} more byte${more > 1 ? "s" : ""}` : ""}>`;
  },
};

/** Characters are written as a whole or not at all. */
function wholeCharacters(bytes: Uint8Array, room: number, encoding: Encoding): number {
  if (encoding === "utf16le") return room & ~1;
  if (encoding !== "utf8") return room;
  let end = room;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return end;
}

function swap(buffer: Uint8Array, size: number): Uint8Array {
  if (buffer.length % size !== 0)
    throw nodeError(
      RangeError,
      "ERR_INVALID_BUFFER_SIZE",
      `Buffer size must be a multiple of ${size * 8}-bits`,
    );
  for (let i = 0; i < buffer.length; i += size)
    Uint8Array.prototype.subarray.call(buffer, i, i + size).reverse();
  return buffer;
}

const prototype = FastBuffer.prototype as unknown as Record<PropertyKey, unknown>;
const define = (name: PropertyKey, value: unknown) =>
  Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
for (const [name, method] of Object.entries(methods)) define(name, method);
define("slice", methods.subarray);
define(Symbol.for("nodejs.util.inspect.custom"), methods.inspect);
for (const name of ["utf8", "latin1", "ascii", "ucs2", "hex", "base64", "base64url"] as const) {
  define(`${name}Slice`, function (this: Buffer, start?: number, end?: number) {
    return this.toString(name as BufferEncoding, start, end);
  });
  define(`${name}Write`, function (this: Buffer, text: string, offset?: number, length?: number) {
    return this.write(text, offset!, length!, name as BufferEncoding);
  });
}
Object.defineProperty(prototype, "parent", {
  get(this: Uint8Array) {
    return this.buffer;
  },
  configurable: true,
});
Object.defineProperty(prototype, "offset", {
  get(this: Uint8Array) {
    return this.byteOffset;
  },
  configurable: true,
});
defineNumbers(define);

export const Buffer = BufferConstructor as unknown as typeof globalThis.Buffer;
(globalThis as { Buffer?: unknown }).Buffer ??= Buffer;
export type Buffer = globalThis.Buffer;

export const { Blob, File, atob, btoa } = globalThis;
export const SlowBuffer = (size: number) => alloc(size);
export const isAscii = (bytes: Uint8Array): boolean =>
  Uint8Array.prototype.every.call(bytes, (byte) => byte < 0x80);
export function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
export function transcode(source: Uint8Array, fromEncoding: string, toEncoding: string): Buffer {
  const text = fromBytes(source, checkEncoding(fromEncoding));
  const to = checkEncoding(toEncoding);
  return view(toBytes(to === "latin1" || to === "ascii" ? text.replace(/[^\0-\xff]/gu, "?") : text, to));
}
export const resolveObjectURL = unsupported("buffer", "resolveObjectURL");

export default {
  Buffer,
  SlowBuffer,
  Blob,
  File,
  atob,
  btoa,
  constants,
  kMaxLength,
  kStringMaxLength,
  INSPECT_MAX_BYTES,
  isAscii,
  isUtf8,
  transcode,
  resolveObjectURL,
};
