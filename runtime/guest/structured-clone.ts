import { Blob, blobBytes, bytesOf, File } from "./blob.ts";
import { CryptoKey } from "./crypto.ts";
import { MessagePort } from "./messages.ts";
import { QuotaExceededError } from "./quota-exceeded-error.ts";

const errors: Record<string, ErrorConstructor> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

function refuse(what: string): never {
  throw new DOMException(`${what} could not be cloned`, "DataCloneError");
}

/** https://html.spec.whatwg.org/multipage/structured-data.html: what it names, as far as it exists in a sandbox. */
export function structuredClone(value: unknown, options?: StructuredSerializeOptions | null): unknown {
  // biome-ignore lint/complexity/noArguments: how many there are is what the standard asks for
  if (arguments.length === 0) throw new TypeError("structuredClone takes a value");
  const transfer = new Set<unknown>(options?.transfer ?? []);
  if (transfer.size < [...(options?.transfer ?? [])].length) refuse("An object that is transferred twice");
  for (const item of transfer) {
    const detached = item instanceof ArrayBuffer && item.detached;
    if (detached || !(item instanceof ArrayBuffer || item instanceof MessagePort))
      refuse("What is to be transferred");
  }
  const known = new Map<object, unknown>();
  const copy = clone(value, known, transfer);
  for (const item of transfer) if (item instanceof ArrayBuffer && !item.detached) item.transfer();
  return copy;
}

function clone(value: unknown, known: Map<object, unknown>, transfer: Set<unknown>): unknown {
  if (typeof value === "symbol" || typeof value === "function") refuse(`A ${typeof value}`);
  if (typeof value !== "object" || value === null) return value;
  if (known.has(value)) return known.get(value);
  const remember = <T>(made: T): T => {
    known.set(value, made);
    return made;
  };
  const inner = (item: unknown) => clone(item, known, transfer);

  if (value instanceof ArrayBuffer) return remember(copyBuffer(value, transfer));
  if (ArrayBuffer.isView(value)) return remember(copyView(value, (buffer) => inner(buffer) as ArrayBuffer));
  const made = cloneLeaf(value);
  if (made !== undefined) return remember(made);
  if (value instanceof MessagePort)
    return transfer.has(value) ? remember(value) : refuse("A port that is not transferred");
  if (value instanceof Map) {
    const map = remember(new Map());
    for (const [key, item] of [...value]) map.set(inner(key), inner(item));
    return map;
  }
  if (value instanceof Set) {
    const set = remember(new Set());
    for (const item of [...value]) set.add(inner(item));
    return set;
  }
  if (value instanceof Error) return cloneError(value, remember, inner);
  if (isPlatformObject(value)) refuse(`A ${Object.prototype.toString.call(value).slice(8, -1)}`);
  const copy: object = remember(Array.isArray(value) ? new Array(value.length) : {});
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(value, key)) continue;
    const item = inner((value as Record<string, unknown>)[key]);
    Object.defineProperty(copy, key, { value: item, writable: true, enumerable: true, configurable: true });
  }
  return copy;
}

/** Values without others in them. */
function cloneLeaf(value: object): object | undefined {
  if (
    value instanceof Boolean ||
    value instanceof Number ||
    value instanceof String ||
    value instanceof BigInt
  )
    return Object(value.valueOf());
  if (value instanceof Symbol) refuse("A symbol");
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof File) {
    const { name, type, lastModified } = value;
    return new File([blobBytes(value)], name, { type, lastModified });
  }
  if (value instanceof Blob) return new Blob([blobBytes(value)], { type: value.type });
  if (value instanceof CryptoKey) return value;
  if (value instanceof QuotaExceededError) return new QuotaExceededError(value.message, amountsOf(value));
  if (value instanceof DOMException) return new DOMException(value.message, value.name);
  return undefined;
}

const amountsOf = ({ quota, requested }: QuotaExceededError) => ({
  ...(quota === null ? {} : { quota }),
  ...(requested === null ? {} : { requested }),
});

function copyBuffer(buffer: ArrayBuffer, transfer: Set<unknown>): ArrayBuffer {
  if (transfer.has(buffer)) return buffer.transfer();
  if (buffer.detached) refuse("A detached ArrayBuffer");
  if (!buffer.resizable) return buffer.slice(0);
  const copy = new ArrayBuffer(buffer.byteLength, { maxByteLength: buffer.maxByteLength });
  new Uint8Array(copy).set(bytesOf(buffer));
  return copy;
}

function copyView(view: ArrayBufferView, copied: (buffer: ArrayBuffer) => ArrayBuffer): ArrayBufferView {
  type Maker = new (buffer: ArrayBuffer, offset: number, length?: number) => ArrayBufferView;
  const isDataView = view instanceof DataView;
  const name = isDataView ? "DataView" : (view as Uint8Array)[Symbol.toStringTag];
  const Type = (globalThis as unknown as Record<string, Maker>)[name]!;
  const lengthOf = () => (isDataView ? view.byteLength : (view as Uint8Array).length);
  try {
    if (!isDataView) Uint8Array.prototype.at.call(view as Uint8Array, 0);
    lengthOf();
  } catch {
    refuse("A view beyond its buffer");
  }
  const [offset, length] = [view.byteOffset, lengthOf()];
  const tracks = follows(view, lengthOf);
  const buffer = copied(view.buffer as ArrayBuffer);
  return tracks ? new Type(buffer, offset) : new Type(buffer, offset, length);
}

/** Whether a view is as long as its buffer, however long that becomes: seen when the buffer grows. */
function follows({ buffer, byteOffset, byteLength }: ArrayBufferView, lengthOf: () => number): boolean {
  if (!(buffer instanceof ArrayBuffer) || !buffer.resizable) return false;
  const [size, length] = [buffer.byteLength, lengthOf()];
  // no element of any view is larger
  const more = Math.min(size + 8, buffer.maxByteLength);
  if (more === size) return byteOffset + byteLength === size;
  buffer.resize(more);
  const longer = lengthOf() > length;
  buffer.resize(size);
  return longer;
}

function cloneError(error: Error, remember: <T>(made: T) => T, inner: (item: unknown) => unknown): Error {
  const Type = errors[error.name] ?? Error;
  const made = remember(new Type());
  const define = (name: string, value: unknown) =>
    Object.defineProperty(made, name, { value, writable: true, configurable: true });
  const message = Object.getOwnPropertyDescriptor(error, "message");
  if (message && "value" in message) define("message", `${message.value}`);
  if (Object.hasOwn(error, "cause")) define("cause", inner(error.cause));
  if (typeof error.stack === "string") define("stack", error.stack);
  return made;
}

/** Objects whose state is not in their properties: promises, weak collections, and the platform's own. */
function isPlatformObject(value: object): boolean {
  if (
    value instanceof Promise ||
    value instanceof WeakMap ||
    value instanceof WeakSet ||
    value instanceof WeakRef
  )
    return true;
  if (Array.isArray(value)) return false;
  if (value instanceof URL) return true;
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (tag === "Object" || tag === "Arguments") return false;
  const Interface = (globalThis as unknown as Record<string, unknown>)[tag];
  return typeof Interface === "function" && value instanceof Interface;
}
