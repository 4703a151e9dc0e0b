import { rejected, resolved, then, withResolvers } from "./primordials.ts";

type Chunk = { value: unknown; done: false } | { value: undefined; done: true };
interface Source {
  start?(controller: Controller): unknown;
  pull?(controller: Controller): unknown;
  cancel?(reason?: unknown): unknown;
}

/** What stream, controller and reader share. Data is queued; the source is asked for more when a read finds nothing. */
class Core {
  queue: unknown[] = [];
  state: "readable" | "closed" | "errored" = "readable";
  error: unknown;
  waiting: PromiseWithResolvers<Chunk>[] = [];
  source: Source | undefined;
  started: Promise<unknown> | undefined;
  pulling = false;
  locked = false;
  disturbed = false;
  closing = false;
  settled: PromiseWithResolvers<undefined> | undefined;

  enqueue(value: unknown): void {
    if (this.closing || this.state !== "readable") throw new TypeError("The stream is closed");
    const reader = this.waiting.shift();
    if (reader) reader.resolve({ value, done: false });
    else this.queue.push(value);
  }
  close(): void {
    if (this.closing || this.state !== "readable") throw new TypeError("The stream is closed");
    this.closing = true;
    if (this.queue.length === 0) this.finish();
  }
  finish(): void {
    this.state = "closed";
    this.settled?.resolve(undefined);
    for (const reader of this.waiting.splice(0)) reader.resolve({ value: undefined, done: true });
  }
  fail(error: unknown): void {
    if (this.state !== "readable") return;
    this.state = "errored";
    this.error = error;
    this.queue.length = 0;
    this.settled?.reject(error);
    for (const reader of this.waiting.splice(0)) reader.reject(error);
  }
  read(): Promise<Chunk> {
    this.disturbed = true;
    if (this.queue.length > 0) {
      const value = this.queue.shift();
      if (this.closing && this.queue.length === 0) this.finish();
      return resolved<Chunk>({ value, done: false });
    }
    if (this.state === "errored") return rejected(this.error);
    if (this.state === "closed") return resolved<Chunk>({ value: undefined, done: true });
    const reader = withResolvers<Chunk>();
    this.waiting.push(reader);
    this.pull();
    return reader.promise;
  }
  pull(): void {
    const { source } = this;
    if (!source?.pull || this.pulling || this.closing) return;
    this.pulling = true;
    const again = () => {
      this.pulling = false;
      if (this.waiting.length > 0) this.pull();
    };
    const pulled = then(this.started ?? resolved(undefined), () => source.pull?.(new Controller(this)));
    then(pulled, again, (error) => this.fail(error));
  }
  cancel(reason: unknown): Promise<undefined> {
    this.disturbed = true;
    if (this.state === "errored") return rejected(this.error);
    if (this.state === "closed") return resolved(undefined);
    this.queue.length = 0;
    this.finish();
    return then(resolved(this.source?.cancel?.(reason)), () => undefined);
  }
}

class Controller {
  readonly #core: Core;
  constructor(core: Core) {
    this.#core = core;
  }
  get desiredSize(): number {
    return this.#core.state === "readable" ? 1 - this.#core.queue.length : 0;
  }
  get byobRequest(): null {
    return null;
  }
  enqueue(chunk: unknown): void {
    this.#core.enqueue(chunk);
  }
  close(): void {
    this.#core.close();
  }
  error(reason: unknown): void {
    this.#core.fail(reason);
  }
}

class Reader {
  #core: Core | null;
  constructor(core: Core) {
    if (core.locked) throw new TypeError("The stream is locked to a reader");
    core.locked = true;
    this.#core = core;
  }
  get closed(): Promise<undefined> {
    const core = this.#core;
    if (!core) return rejected(new TypeError("The reader was released"));
    if (core.state === "errored") return rejected(core.error);
    if (core.state === "closed") return resolved(undefined);
    core.settled ??= withResolvers();
    return core.settled.promise;
  }
  read(): Promise<Chunk> {
    return this.#core ? this.#core.read() : rejected(new TypeError("The reader was released"));
  }
  cancel(reason?: unknown): Promise<undefined> {
    return this.#core ? this.#core.cancel(reason) : rejected(new TypeError("The reader was released"));
  }
  releaseLock(): void {
    if (this.#core) this.#core.locked = false;
    this.#core = null;
  }
}

let coreOf: (stream: ReadableStream) => Core;

export class ReadableStream {
  readonly #core = new Core();

  static {
    coreOf = (stream) => stream.#core;
  }

  constructor(source?: Source) {
    const core = this.#core;
    if (!source) return;
    core.source = source;
    const started = source.start?.(new Controller(core));
    if (started === undefined) return;
    core.started = resolved(started);
    then(core.started, undefined as never, (error) => core.fail(error));
  }

  static from(items: Iterable<unknown> | AsyncIterable<unknown>): ReadableStream {
    const iterator =
      (items as AsyncIterable<unknown>)[Symbol.asyncIterator]?.() ??
      (items as Iterable<unknown>)[Symbol.iterator]();
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => iterator.return?.(reason),
    });
  }

  get locked(): boolean {
    return this.#core.locked;
  }
  getReader(): Reader {
    return new Reader(this.#core);
  }
  cancel(reason?: unknown): Promise<undefined> {
    return this.#core.locked
      ? rejected(new TypeError("The stream is locked to a reader"))
      : this.#core.cancel(reason);
  }
  /** Both branches get every chunk; each may be read at its own pace. */
  tee(): [ReadableStream, ReadableStream] {
    const reader = this.getReader();
    const branches: Core[] = [];
    const pull = () =>
      then(
        reader.read(),
        ({ done, value }) => {
          for (const branch of branches) {
            if (branch.state !== "readable") continue;
            if (done) branch.close();
            else branch.enqueue(value);
          }
        },
        (error) => {
          for (const branch of branches) branch.fail(error);
        },
      );
    const first = new ReadableStream({ pull });
    const second = new ReadableStream({ pull });
    branches.push(first.#core, second.#core);
    return [first, second];
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    const reader = this.getReader();
    try {
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) yield chunk.value;
    } finally {
      if (this.#core.state === "readable") await reader.cancel();
      reader.releaseLock();
    }
  }
}

export function streamOf(bytes: Uint8Array): ReadableStream {
  return new ReadableStream({
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}

/** Whether someone reads the stream or has read from it: it cannot be a body then. */
export function isDisturbed(stream: ReadableStream): boolean {
  const core = coreOf(stream);
  return core.disturbed || core.locked;
}

/** Everything that the stream will bring. */
export function readAll(stream: ReadableStream): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  const next = (): Promise<Uint8Array<ArrayBuffer>> =>
    then(reader.read(), (chunk) => {
      if (chunk.done) return concat(chunks);
      if (!(chunk.value instanceof Uint8Array))
        throw new TypeError("A body stream must bring Uint8Array chunks");
      chunks.push(chunk.value);
      return next();
    });
  return next();
}

export function concat(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const all = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.length;
  }
  return all;
}
