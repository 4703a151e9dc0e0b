import { asBuffer } from "./as-buffer.ts";
import { Buffer } from "./buffer.ts";
import { invalidType } from "./errors.ts";
import { platform } from "./platform.ts";
import { constants } from "./zlib-constants.ts";
import { type Method, type Options, written, ZlibStream, zlibError } from "./zlib-stream.ts";

type Input = string | ArrayBuffer | ArrayBufferView;
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
  try {
    return asBuffer(
      platform.callHost(`zlib.${method}Sync`, ["zlib", method, written(options, passed)], bytes),
    );
  } catch (error) {
    throw zlibError(error);
  }
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
