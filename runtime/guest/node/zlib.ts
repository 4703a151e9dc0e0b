import { Buffer } from "./buffer.ts";
import { invalidType } from "./errors.ts";
import { platform } from "./platform.ts";
import { Transform } from "./stream.ts";
import { constants } from "./zlib-constants.ts";

type Method =
  | "gzip"
  | "gunzip"
  | "deflate"
  | "inflate"
  | "deflateRaw"
  | "inflateRaw"
  | "unzip"
  | "brotliCompress"
  | "brotliDecompress";
type Input = string | ArrayBuffer | ArrayBufferView;
interface Options {
  level?: number;
  windowBits?: number;
  memLevel?: number;
  strategy?: number;
  flush?: number;
  finishFlush?: number;
  maxOutputLength?: number;
  dictionary?: Uint8Array;
  params?: Record<number, number>;
}
type Done = (error: Error | null, result?: Buffer) => void;

const passed = [
  "level",
  "windowBits",
  "memLevel",
  "strategy",
  "finishFlush",
  "maxOutputLength",
  "params",
] as const;

/** The host does the work while the function waits. */
function run(method: Method, input: Input, options: Options = {}): Buffer {
  if (typeof input !== "string" && !ArrayBuffer.isView(input) && !(input instanceof ArrayBuffer))
    throw invalidType(
      "buffer",
      "string or an instance of Buffer, TypedArray, DataView, or ArrayBuffer",
      input,
    );
  const bytes =
    typeof input === "string"
      ? Buffer.from(input)
      : ArrayBuffer.isView(input)
        ? new Uint8Array(input.buffer as ArrayBuffer, input.byteOffset, input.byteLength)
        : new Uint8Array(input);
  const given: Record<string, unknown> = {};
  for (const name of passed) if (options[name] !== undefined) given[name] = options[name];
  if (options.dictionary) given.dictionary = Buffer.from(options.dictionary).toString("base64");
  const result = platform.callHost(`zlib.${method}Sync`, ["zlib", method, given], bytes);
  return Buffer.from(result.buffer, result.byteOffset, result.byteLength);
}

const sync = (method: Method) => (input: Input, options?: Options) => run(method, input, options);
const async = (method: Method) => (input: Input, options: Options | Done, callback?: Done) => {
  const done = (typeof options === "function" ? options : callback) as Done;
  if (typeof done !== "function") throw invalidType("callback", "function", done);
  process.nextTick(() => {
    let result: Buffer;
    try {
      result = run(method, input, typeof options === "function" ? {} : options);
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, result);
  });
};

/** Compresses what it has got when it is flushed or ends: each piece is a member of its own, which for gzip is as good as one. */
class ZlibStream extends Transform {
  bytesWritten = 0;
  readonly #method: Method;
  readonly #options: Options;
  #chunks: Uint8Array[] = [];

  constructor(method: Method, options: Options = {}) {
    super(options as object);
    this.#method = method;
    this.#options = options;
  }
  override _transform(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.bytesWritten += chunk.length;
    this.#chunks.push(chunk);
    done();
  }
  override _flush(done: (error?: Error | null) => void): void {
    try {
      this.push(run(this.#method, Buffer.concat(this.#chunks), this.#options));
      this.#chunks = [];
      done();
    } catch (error) {
      done(error as Error);
    }
  }
  flush(kind?: unknown, callback?: () => void): void {
    const done = typeof kind === "function" ? (kind as () => void) : callback;
    if (this.#method !== "gzip" || this.#chunks.length === 0) {
      if (done) process.nextTick(done);
      return;
    }
    const chunks = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.push(run(this.#method, chunks, this.#options));
    if (done) process.nextTick(done);
  }
  close(done?: () => void): void {
    if (done) this.once("close", done);
    this.destroy();
  }
  params(_level: number, _strategy: number, done: (error: null) => void): void {
    process.nextTick(done, null);
  }
  reset(): void {
    this.#chunks = [];
  }
}

const stream = (method: Method) => {
  function create(this: unknown, options?: Options): ZlibStream {
    return new ZlibStream(method, options);
  }
  create.prototype = ZlibStream.prototype;
  return create as unknown as new (
    options?: Options,
  ) => ZlibStream;
};
const make = (method: Method) => (options?: Options) => new ZlibStream(method, options);

export const gzipSync = sync("gzip");
export const gunzipSync = sync("gunzip");
export const deflateSync = sync("deflate");
export const inflateSync = sync("inflate");
export const deflateRawSync = sync("deflateRaw");
export const inflateRawSync = sync("inflateRaw");
export const unzipSync = sync("unzip");
export const brotliCompressSync = sync("brotliCompress");
export const brotliDecompressSync = sync("brotliDecompress");
export const gzip = async("gzip");
export const gunzip = async("gunzip");
export const deflate = async("deflate");
export const inflate = async("inflate");
export const deflateRaw = async("deflateRaw");
export const inflateRaw = async("inflateRaw");
export const unzip = async("unzip");
export const brotliCompress = async("brotliCompress");
export const brotliDecompress = async("brotliDecompress");
export const createGzip = make("gzip");
export const createGunzip = make("gunzip");
export const createDeflate = make("deflate");
export const createInflate = make("inflate");
export const createDeflateRaw = make("deflateRaw");
export const createInflateRaw = make("inflateRaw");
export const createUnzip = make("unzip");
export const createBrotliCompress = make("brotliCompress");
export const createBrotliDecompress = make("brotliDecompress");
export const Gzip = stream("gzip");
export const Gunzip = stream("gunzip");
export const Deflate = stream("deflate");
export const Inflate = stream("inflate");
export const DeflateRaw = stream("deflateRaw");
export const InflateRaw = stream("inflateRaw");
export const Unzip = stream("unzip");
export const BrotliCompress = stream("brotliCompress");
export const BrotliDecompress = stream("brotliDecompress");

let table: Uint32Array | null = null;
export function crc32(data: string | Uint8Array, value = 0): number {
  if (typeof data !== "string" && !(data instanceof Uint8Array))
    throw invalidType("data", "string or an instance of Buffer", data);
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let word = byte;
    for (let bit = 0; bit < 8; bit++) word = word & 1 ? 0xedb88320 ^ (word >>> 1) : word >>> 1;
    return word;
  });
  let crc = ~value;
  for (const byte of typeof data === "string" ? Buffer.from(data) : data)
    crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
export { constants };

export default {
  BrotliCompress,
  BrotliDecompress,
  Deflate,
  DeflateRaw,
  Gunzip,
  Gzip,
  Inflate,
  InflateRaw,
  Unzip,
  brotliCompress,
  brotliCompressSync,
  brotliDecompress,
  brotliDecompressSync,
  constants,
  crc32,
  createBrotliCompress,
  createBrotliDecompress,
  createDeflate,
  createDeflateRaw,
  createGunzip,
  createGzip,
  createInflate,
  createInflateRaw,
  createUnzip,
  deflate,
  deflateRaw,
  deflateRawSync,
  deflateSync,
  gunzip,
  gunzipSync,
  gzip,
  gzipSync,
  inflate,
  inflateRaw,
  inflateRawSync,
  inflateSync,
  unzip,
  unzipSync,
  ...constants,
};
