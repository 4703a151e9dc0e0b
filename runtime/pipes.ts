import { maxChunkBytes } from "./protocol.ts";

/** Bytes that a sink holds before its writer has to wait. */
const sinkBufferBytes = 256 * 1024;

/** Bytes on their way into a sandbox: someone else's stream, read in pieces, when the guest asks. */
export class Source {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array | null = null;
  #reading = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** True while a piece is awaited: there is one read at a time. */
  get busy(): boolean {
    return this.#reading;
  }

  /** The next bytes, or null at the end. Rejects with what broke the stream. */
  async read(): Promise<Uint8Array | null> {
    this.#reading = true;
    try {
      for (;;) {
        const chunk = this.#rest ?? (await this.#reader.read()).value;
        if (chunk === undefined) return null;
        if (chunk.byteLength === 0) continue;
        this.#rest = chunk.byteLength > maxChunkBytes ? chunk.subarray(maxChunkBytes) : null;
        return chunk.subarray(0, maxChunkBytes);
      }
    } finally {
      this.#reading = false;
    }
  }

  /** Nobody wants the rest. */
  cancel(reason?: unknown): void {
    this.#reader.cancel(reason).catch(() => {});
  }
}

/** Where a guest writes to. */
export interface Writing {
  /** True while a writer waits: there is one write at a time. */
  readonly busy: boolean;
  /** Takes the bytes over. Resolves when more are wanted, rejects when nobody takes them any more. */
  write(bytes: Uint8Array): Promise<void>;
  /** Makes what it holds back come out; absent where nothing is. */
  flush?(kind: number): Promise<void>;
  close(): void;
  /** Breaks off. */
  fail(reason: unknown): void;
}

/** Bytes on their way out of a sandbox: a stream that the guest writes to and somebody on the host reads. */
export class Sink implements Writing {
  readonly readable: ReadableStream<Uint8Array>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #wanted: PromiseWithResolvers<void> | null = null;
  #state: "open" | "closed" | "cancelled" = "open";

  /** `onCancel`: the reader went away. */
  constructor(onCancel: (reason: unknown) => void = () => {}) {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#wanted?.resolve(),
        cancel: (reason) => {
          this.#state = "cancelled";
          this.#wanted?.reject(new SinkCancelled());
          onCancel(reason);
        },
      },
      { highWaterMark: sinkBufferBytes, size: (chunk) => chunk.byteLength },
    );
  }

  get busy(): boolean {
    return this.#wanted !== null;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#state !== "open") throw new SinkCancelled();
    this.#controller.enqueue(bytes);
    if (this.#controller.desiredSize! > 0) return;
    this.#wanted = Promise.withResolvers();
    try {
      await this.#wanted.promise;
    } finally {
      this.#wanted = null;
    }
  }

  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    this.#controller.close();
  }

  fail(reason: unknown): void {
    if (this.#state !== "open") return;
    this.#state = "cancelled";
    this.#wanted?.reject(new SinkCancelled());
    this.#controller.error(reason);
  }
}

/** The reader of a sink went away. */
export class SinkCancelled extends Error {}
