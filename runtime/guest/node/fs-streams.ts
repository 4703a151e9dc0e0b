import { Buffer } from "./buffer.ts";
import { appendFileSync, readFileSync, writeFileSync } from "./fs-sync.ts";
import { Readable, Writable } from "./stream.ts";
import type { PathLike } from "./virtual_files.ts";

interface ReadOptions {
  encoding?: BufferEncoding;
  start?: number;
  end?: number;
  highWaterMark?: number;
}

export class ReadStream extends Readable {
  readonly path: PathLike;
  bytesRead = 0;
  #bytes: Uint8Array | null = null;
  #at: number;
  readonly #end: number;

  constructor(path: PathLike, options: ReadOptions | BufferEncoding = {}) {
    const given = typeof options === "string" ? { encoding: options } : options;
    super({
      highWaterMark: given.highWaterMark ?? 65_536,
      ...(given.encoding ? { encoding: given.encoding } : {}),
    });
    this.path = path;
    this.#at = given.start ?? 0;
    this.#end = given.end === undefined ? Number.POSITIVE_INFINITY : given.end + 1;
    process.nextTick(() => {
      try {
        this.#bytes = readFileSync(path) as Uint8Array;
        this.emit("open", 3);
        this.emit("ready");
        this._read();
      } catch (error) {
        this.destroy(error as Error);
      }
    });
  }
  override _read(size = this.readableHighWaterMark): void {
    const bytes = this.#bytes;
    if (!bytes) return;
    const to = Math.min(this.#at + size, this.#end, bytes.length);
    const part = Buffer.from(bytes.subarray(this.#at, to));
    this.#at = to;
    this.bytesRead += part.length;
    this.push(part.length > 0 ? part : null);
  }
  close(done?: () => void): void {
    if (done) this.once("close", done);
    this.destroy();
  }
}

export class WriteStream extends Writable {
  readonly path: PathLike;
  bytesWritten = 0;

  constructor(path: PathLike, options: { flags?: string; encoding?: BufferEncoding } | BufferEncoding = {}) {
    super({ decodeStrings: true });
    this.path = path;
    const flags = typeof options === "string" ? "w" : (options.flags ?? "w");
    try {
      if (!flags.startsWith("a")) writeFileSync(path, Buffer.alloc(0), { flag: flags });
      process.nextTick(() => {
        this.emit("open", 3);
        this.emit("ready");
      });
    } catch (error) {
      process.nextTick(() => this.destroy(error as Error));
    }
  }
  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    try {
      appendFileSync(this.path, chunk);
      this.bytesWritten += chunk.length;
      done();
    } catch (error) {
      done(error as Error);
    }
  }
  close(done?: () => void): void {
    this.end(done);
  }
}

export const createReadStream = (...args: ConstructorParameters<typeof ReadStream>): ReadStream =>
  new ReadStream(...args);
export const createWriteStream = (...args: ConstructorParameters<typeof WriteStream>): WriteStream =>
  new WriteStream(...args);
