import { Resource, type World } from "./world.ts";

/** Bytes that one read gives, and one write takes. */
const chunkBytes = 64 * 1024;

/** `wasi:io/error`. */
export class IoError extends Resource {
  readonly #message: string;

  constructor(world: World, message: string) {
    super(world);
    this.#message = message;
  }

  toDebugString(): string {
    return this.#message;
  }
}

/** `wasi:io/poll`. */
export class Pollable extends Resource {
  readonly #isReady: () => boolean;
  readonly #happens: () => Promise<unknown>;

  constructor(world: World, isReady: () => boolean, happens: () => Promise<unknown>) {
    super(world);
    this.#isReady = isReady;
    this.#happens = happens;
  }

  static ready(world: World): Pollable {
    return new Pollable(
      world,
      () => true,
      async () => {},
    );
  }

  ready(): boolean {
    return this.#isReady();
  }

  async block(): Promise<void> {
    while (!this.#isReady()) await this.world.wait(this.#happens());
  }

  /** Resolves when it may be ready. */
  happens(): Promise<unknown> {
    return this.#happens();
  }
}

/** What a stream says when nothing follows. */
const closed = { tag: "closed" };

/** `wasi:io/streams`: bytes that are all there. */
export class InputStream extends Resource {
  #rest: Uint8Array;

  constructor(world: World, bytes: Uint8Array) {
    super(world);
    this.#rest = bytes;
  }

  /** @throws closed */
  read(length: bigint): Uint8Array {
    if (this.#rest.length === 0) throw closed;
    const part = this.#rest.subarray(0, smaller(length, chunkBytes));
    this.#rest = this.#rest.subarray(part.length);
    this.world.options.charge(part.length);
    return part;
  }

  async blockingRead(length: bigint): Promise<Uint8Array> {
    return this.read(length);
  }

  skip(length: bigint): bigint {
    return BigInt(this.read(length).length);
  }

  async blockingSkip(length: bigint): Promise<bigint> {
    return this.skip(length);
  }

  subscribe(): Pollable {
    return Pollable.ready(this.world);
  }
}

/** `wasi:io/streams`: takes everything at once. */
export class OutputStream extends Resource {
  readonly #write: (bytes: Uint8Array) => void;

  constructor(world: World, write: (bytes: Uint8Array) => void) {
    super(world);
    this.#write = write;
  }

  checkWrite(): bigint {
    return BigInt(chunkBytes);
  }

  write(contents: Uint8Array): void {
    this.world.options.charge(contents.length);
    this.#write(contents);
  }

  async blockingWriteAndFlush(contents: Uint8Array): Promise<void> {
    this.write(contents);
  }

  flush(): void {}

  async blockingFlush(): Promise<void> {}

  subscribe(): Pollable {
    return Pollable.ready(this.world);
  }

  writeZeroes(length: bigint): void {
    this.write(new Uint8Array(smaller(length, chunkBytes)));
  }

  async blockingWriteZeroesAndFlush(length: bigint): Promise<void> {
    this.writeZeroes(length);
  }

  splice(source: InputStream, length: bigint): bigint {
    const bytes = source.read(length);
    this.write(bytes);
    return BigInt(bytes.length);
  }

  async blockingSplice(source: InputStream, length: bigint): Promise<bigint> {
    return this.splice(source, length);
  }
}

const smaller = (length: bigint, limit: number): number => (length < BigInt(limit) ? Number(length) : limit);

/** Most things that are waited for at once. */
const maxPolled = 1_024;

async function poll(world: World, pollables: readonly Pollable[]): Promise<Uint32Array> {
  if (pollables.length === 0 || pollables.length > maxPolled)
    world.refuse(`poll of ${pollables.length} pollables`);
  for (;;) {
    const ready = pollables.flatMap((pollable, i) => (pollable.ready() ? [i] : []));
    if (ready.length > 0) return Uint32Array.from(ready);
    await world.wait(Promise.race(pollables.map((pollable) => pollable.happens())));
  }
}

export const ioImports = (world: World) => ({
  "wasi:io/error": { Error: IoError },
  "wasi:io/poll": { Pollable, poll: (pollables: Pollable[]) => poll(world, pollables) },
  "wasi:io/streams": { InputStream, OutputStream },
});
