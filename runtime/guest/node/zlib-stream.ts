import type { TranscodeOptions } from "../../protocol.ts";
import { asBuffer } from "./as-buffer.ts";
import { Buffer } from "./buffer.ts";
import { outOfRange } from "./errors.ts";
import { platform } from "./platform.ts";
import { Transform } from "./stream.ts";
import { constants } from "./zlib-constants.ts";

/** What the host calls them, as streams. */
const codings = {
  gzip: "compress gzip",
  gunzip: "decompress gzip",
  deflate: "compress deflate",
  inflate: "decompress deflate",
  deflateRaw: "compress deflate-raw",
  inflateRaw: "decompress deflate-raw",
  unzip: "decompress unzip",
  brotliCompress: "compress brotli",
  brotliDecompress: "decompress brotli",
} as const;
export type Method = keyof typeof codings;

export interface Options extends Omit<TranscodeOptions, "dictionary"> {
  maxOutputLength?: number;
  dictionary?: Uint8Array;
}

const ranges = {
  level: [constants.Z_MIN_LEVEL, constants.Z_MAX_LEVEL],
  windowBits: [0, constants.Z_MAX_WINDOWBITS],
  memLevel: [constants.Z_MIN_MEMLEVEL, constants.Z_MAX_MEMLEVEL],
  strategy: [constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED],
  flush: [constants.Z_NO_FLUSH, constants.Z_BLOCK],
  finishFlush: [constants.Z_NO_FLUSH, constants.Z_BLOCK],
} as const;

/** Options that a stream has. */
const streamed = [
  ...(Object.keys(ranges) as (keyof typeof ranges)[]),
  "params",
  "rejectGarbageAfterEnd",
] as const;

/** Options as the host gets them: those of these names that are given, and the dictionary. */
export function written(options: Options, names: readonly (keyof Options)[]): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  for (const name of names) if (options[name] !== undefined) given[name] = options[name];
  if (options.dictionary) given.dictionary = Buffer.from(options.dictionary).toString("base64");
  return given;
}

/** With the number that Node adds. */
export function zlibError(error: unknown): Error {
  const { code = "" } = error as { code?: string };
  const numbers = constants as Record<string, unknown>;
  const errno = numbers[code] ?? numbers[code.replace(/^ERR_/, "BROTLI_DECODER")];
  return errno === undefined ? (error as Error) : Object.assign(error as Error, { errno });
}

/** Kinds of flush, in the place of a chunk, so that they come after what was written before. */
const flushes = new WeakMap<Uint8Array, number>();

/** The host compresses or decompresses what is written, no faster than the result is read. */
export class ZlibStream extends Transform {
  bytesWritten = 0;
  readonly #method: Method;
  readonly #options: Options;
  /** Number of the host's sink and source; 0 before the first write. */
  #id = 0;
  #ended: Promise<void> = Promise.resolve();
  #wanted = false;
  #resume: (() => void) | null = null;

  constructor(method: Method, options: Options = {}) {
    super(options as object);
    for (const [name, [least, most]] of Object.entries(ranges)) {
      const value = options[name as keyof typeof ranges];
      if (value === undefined || method.startsWith("brotli")) continue;
      if (!(value >= least && value <= most))
        throw outOfRange(`options.${name}`, `>= ${least} and <= ${most}`, value);
    }
    this.#method = method;
    this.#options = options;
  }

  override _transform(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.bytesWritten += chunk.length;
    const kind = flushes.get(chunk);
    const work = async () => {
      const id = this.#open();
      await (kind === undefined ? platform.writeSink(id, chunk) : platform.flushSink(id, kind));
    };
    work().then(
      () => done(),
      (error) => done(zlibError(error)),
    );
  }
  override _flush(done: (error?: Error | null) => void): void {
    try {
      platform.closeSink(this.#open());
    } catch (error) {
      done(error as Error);
      return;
    }
    this.#ended.then(() => done(), done);
  }
  override _read(size: number): void {
    this.#wanted = true;
    this.#resume?.();
    super._read(size);
  }
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.reset();
    super._destroy(error, done);
  }

  flush(kind?: number | (() => void), callback?: () => void): void {
    const done = (typeof kind === "function" ? kind : callback) ?? (() => {});
    if (this.writableFinished || this.destroyed) process.nextTick(done);
    else if (this.writableEnded) this.once("end", done);
    else {
      const marker = Buffer.alloc(0);
      const brotli = this.#method.startsWith("brotli");
      const usual = brotli ? constants.BROTLI_OPERATION_FLUSH : constants.Z_FULL_FLUSH;
      flushes.set(marker, typeof kind === "number" ? kind : usual);
      this.write(marker, () => done());
    }
  }
  close(done?: () => void): void {
    if (done) this.once("close", done);
    this.destroy();
  }
  /** The level stays: that of what is written next is no promise, and changes no content. */
  params(_level: number, _strategy: number, done: (error: null) => void): void {
    process.nextTick(done, null);
  }
  /** Forgets what was written. */
  reset(): void {
    if (this.#id > 0) platform.release(this.#id);
    this.#id = 0;
    this.#resume?.();
  }

  #open(): number {
    if (this.#id > 0) return this.#id;
    this.#id = platform.openTranscoder(codings[this.#method], written(this.#options, streamed));
    this.#ended = this.#pump(this.#id);
    this.#ended.catch((error) => this.destroy(error));
    return this.#id;
  }

  /** Brings what the host makes, as it is read here. */
  async #pump(id: number): Promise<void> {
    try {
      for (;;) {
        const bytes = await platform.readSource(id);
        if (bytes === null || id !== this.#id) return;
        this.#wanted = false;
        if (this.push(asBuffer(bytes)) || this.#wanted) continue;
        await new Promise<void>((resume) => {
          this.#resume = resume;
        });
        this.#resume = null;
      }
    } catch (error) {
      throw zlibError(error);
    }
  }
}
