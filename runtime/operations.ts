import { CancellationSource } from "./cancellation.ts";
import {
  GuestMessageError,
  messageLimits,
  messageSize,
  readCryptoCall,
  readFetchRequest,
  readNumber,
  readTranscodeRequest,
} from "./guest-message.ts";
import { transcode } from "./host/transcode.ts";
import { callSubtle } from "./host/web-crypto.ts";
import { Sink, SinkCancelled, Source, type Writing } from "./pipes.ts";
import {
  type CryptoCall,
  Event,
  type FetchRequest,
  type GuestError,
  maxChunkBytes,
  Op,
  Refused,
  type TranscodeRequest,
} from "./protocol.ts";
import { encodeResult, type QueryCall, readQueryCall } from "./query-message.ts";
import { type DatabaseSession, HostError, type HostServices } from "./services.ts";

/** Operations under way at once, and of each kind in one invocation. */
const limits = {
  pending: 1_000,
  timers: 100_000,
  fetches: 50,
  fetchesAtOnce: 6,
  queries: 10_000,
  /** In all, and under way at once by Brotli, which holds up to 24 MiB of the host's memory each; others hold up to 0.5 MiB. */
  transcodings: 100,
  transcodingsAtOnce: 32,
  brotliAtOnce: 4,
  cryptoCalls: 20_000,
  /** Bytes of requests, queries and cryptographic calls that the host holds for one invocation. */
  heldBytes: 32 * 1024 * 1024,
} as const;
/** Longest delay of a timer, ms: what fits a 32-bit integer. */
const maxDelayMs = 0x7fff_ffff;

/** How an operation ended, for the guest. */
export interface Completion {
  event: typeof Event.complete | typeof Event.reject;
  id: number;
  text: string;
  bytes: Uint8Array;
}

const empty = new Uint8Array(0);

/**
 * The operations that one invocation has started: timers, requests, queries, and the streams of bytes that cross its border.
 * Disposing cancels all of them.
 */
export class Operations {
  readonly #services: HostServices;
  readonly #deliver: (completion: Completion) => void;
  #pending = new Map<number, () => void>();
  #nextId = 1;
  readonly #sources = new Map<number, Source>();
  readonly #sinks = new Map<number, Writing>();
  #started = { timers: 0, fetches: 0, queries: 0, transcodings: 0, cryptoCalls: 0 };
  #transcoding = { all: 0, brotli: 0 };
  #fetching = 0;
  #heldBytes = 0;
  #waitingFetches: (() => void)[] = [];
  #database: DatabaseSession | null = null;

  constructor(services: HostServices, deliver: (completion: Completion) => void) {
    this.#services = services;
    this.#deliver = deliver;
  }

  /** A stream that the guest reads under this number. */
  addSource(id: number, stream: ReadableStream<Uint8Array>): void {
    this.#sources.set(id, new Source(stream));
  }

  /** Something that the guest writes to under this number. */
  addSink(id: number, sink: Writing): void {
    this.#sinks.set(id, sink);
  }

  /** Operations under way. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Operations that left the sandbox so far. */
  get count(): number {
    return this.#started.timers + this.#started.fetches + this.#started.queries;
  }

  /**
   * Starts an operation: its number, or why not ({@link Refused}).
   *
   * @throws GuestMessageError for a message that the guest library does not send.
   */
  start(op: number, text: Uint8Array, bytes: Uint8Array): number {
    if (this.#pending.size >= limits.pending) return Refused.tooMany;
    switch (op) {
      case Op.timer:
        return ++this.#started.timers > limits.timers ? Refused.tooMany : this.#timer(readNumber(text));
      case Op.fetch: {
        if (++this.#started.fetches > limits.fetches) return Refused.tooMany;
        if (text.length > messageLimits.fetch) return Refused.tooLarge;
        if (this.#heldBytes + bytes.length > limits.heldBytes) return Refused.tooLarge;
        return this.#fetch(readFetchRequest(text), bytes.slice());
      }
      case Op.read:
        return this.#read(readNumber(text));
      case Op.write:
        return this.#write(readNumber(text), bytes);
      case Op.turn:
        return this.#turn();
      case Op.transcode:
        if (++this.#started.transcodings > limits.transcodings) return Refused.tooMany;
        return this.#transcode(readTranscodeRequest(text));
      case Op.flush:
        return this.#flush(readNumber(text), bytes);
      case Op.crypto: {
        if (++this.#started.cryptoCalls > limits.cryptoCalls) return Refused.tooMany;
        if (text.length > messageLimits.crypto) return Refused.tooLarge;
        const call = readCryptoCall(text);
        const size = bytes.length + messageSize(text, call.args);
        if (this.#heldBytes + size > limits.heldBytes) return Refused.tooLarge;
        return this.#crypto(call, bytes.slice(), size);
      }
      default: {
        if (++this.#started.queries > limits.queries) return Refused.tooMany;
        if (text.length > messageLimits.query) return Refused.tooLarge;
        const call = readQueryCall(text);
        const size = messageSize(text, call.request.params);
        if (this.#heldBytes + size > limits.heldBytes) return Refused.tooLarge;
        return this.#query(call, size);
      }
    }
  }

  cancel(id: number): void {
    const cancel = this.#pending.get(id);
    this.#pending.delete(id);
    cancel?.();
    this.#drop(id);
  }

  /** Gives back a reserved database connection. */
  release(lease: number): void {
    this.#database?.release(lease);
  }

  /** Nothing more comes for the sink. */
  close(id: number): void {
    this.#sinks.get(id)?.close();
    this.#sinks.delete(id);
  }

  /** Breaks a sink off. */
  fail(id: number, reason: unknown): void {
    this.#sinks.get(id)?.fail(reason);
    this.#sinks.delete(id);
  }

  [Symbol.dispose](): void {
    const cancels = [...this.#pending.values()];
    this.#pending.clear();
    this.#waitingFetches = [];
    for (const cancel of cancels) cancel();
    this.#database?.close();
    for (const id of [...this.#sources.keys(), ...this.#sinks.keys()]) this.#drop(id, true);
  }

  /** The source 0 and the sink 0 belong to different things: giving up the request's body leaves the response's alone. */
  #drop(id: number, sinkToo = id !== 0): void {
    this.#sources.get(id)?.cancel(new SinkCancelled("the sandbox has ended"));
    this.#sources.delete(id);
    if (sinkToo) this.fail(id, new SinkCancelled("the sandbox has ended"));
  }

  #read(from: number): number {
    const source = this.#sources.get(from);
    if (source?.busy) throw new GuestMessageError("number");
    return this.#run(async () => {
      const bytes = source ? await source.read() : null;
      if (bytes === null) this.#sources.delete(from);
      return { text: bytes === null ? "end" : "", bytes: bytes ?? empty };
    });
  }

  #write(to: number, bytes: Uint8Array): number {
    const sink = this.#sinks.get(to);
    if (sink?.busy || bytes.length > maxChunkBytes) throw new GuestMessageError("number");
    const chunk = bytes.slice();
    return this.#run(async () => {
      if (!sink) throw new SinkCancelled();
      await sink.write(chunk);
      return { text: "", bytes: empty };
    });
  }

  #turn(): number {
    const id = this.#nextId++;
    this.#pending.set(id, () => {});
    queueMicrotask(() => this.#end({ event: Event.complete, id, text: "", bytes: empty }));
    return id;
  }

  #transcode(request: TranscodeRequest): number {
    const atOnce = this.#transcoding;
    const heavy = request.coding.endsWith(" brotli");
    if (atOnce.all >= limits.transcodingsAtOnce || (heavy && atOnce.brotli >= limits.brotliAtOnce))
      return Refused.tooMany;
    atOnce.all++;
    if (heavy) atOnce.brotli++;
    const { sink, readable, closed } = transcode(request);
    void closed.then(() => {
      atOnce.all--;
      if (heavy) atOnce.brotli--;
    });
    const id = this.#nextId++;
    this.addSink(id, sink);
    this.addSource(id, readable);
    return id;
  }

  #flush(to: number, [kind]: Uint8Array): number {
    const sink = this.#sinks.get(to);
    if (sink?.flush === undefined || sink.busy || kind === undefined) throw new GuestMessageError("number");
    return this.#run(async () => {
      await sink.flush!(kind);
      return { text: "", bytes: empty };
    });
  }

  #timer(delay: number): number {
    const id = this.#nextId++;
    const timeoutMs = Number.isFinite(delay) ? Math.min(Math.max(delay, 0), maxDelayMs) : 0;
    const timer = setTimeout(
      () => this.#end({ event: Event.complete, id, text: "", bytes: empty }),
      timeoutMs,
    );
    this.#pending.set(id, () => clearTimeout(timer));
    return id;
  }

  #fetch(request: FetchRequest, whole: Uint8Array): number {
    this.#heldBytes += whole.length;
    const id = this.#nextId++;
    const controller = new AbortController();
    let body: Uint8Array | ReadableStream<Uint8Array> = whole;
    if (request.stream) {
      const sink = new Sink();
      this.addSink(id, sink);
      body = sink.readable;
    }
    return this.#run(
      async (signal) => {
        if (this.#fetching >= limits.fetchesAtOnce)
          await new Promise<void>((next) => this.#waitingFetches.push(next));
        signal.throwIfAborted();
        this.#fetching++;
        try {
          const response = await this.#services.fetch(request, body, signal);
          const hasBody = response.head.hasBody !== false;
          if (response.body instanceof Uint8Array)
            return { text: JSON.stringify({ ...response.head, hasBody }), bytes: response.body };
          if (signal.aborted) void response.body.cancel();
          else this.addSource(id, response.body);
          return { text: JSON.stringify({ ...response.head, hasBody, stream: true }), bytes: empty };
        } finally {
          this.#fetching--;
          this.#heldBytes -= whole.length;
          this.#waitingFetches.shift()?.();
        }
      },
      id,
      controller,
    );
  }

  #crypto(call: CryptoCall, bytes: Uint8Array, size: number): number {
    return this.#run((signal) => this.#holding(size, callSubtle(call, bytes, signal)));
  }

  #query({ request, rows }: QueryCall, size: number): number {
    this.#database ??= this.#services.openDatabase();
    const database = this.#database;
    const id = this.#nextId++;
    const cancellation = new CancellationSource();
    const answer = async () => {
      const response = await this.#holding(size, database.query(request, cancellation));
      return { text: encodeResult(response, rows), bytes: empty };
    };
    return this.#await(id, () => cancellation.abort(), answer());
  }

  /** Counts what the host holds until `work` is done. */
  async #holding<T>(size: number, work: Promise<T>): Promise<T> {
    this.#heldBytes += size;
    try {
      return await work;
    } finally {
      this.#heldBytes -= size;
    }
  }

  #run(
    work: (signal: AbortSignal) => Promise<{ text: string; bytes: Uint8Array }>,
    id = this.#nextId++,
    controller = new AbortController(),
  ): number {
    return this.#await(id, () => controller.abort(), work(controller.signal));
  }

  #await(id: number, cancel: () => void, end: Promise<{ text: string; bytes: Uint8Array }>): number {
    this.#pending.set(id, cancel);
    end.then(
      ({ text, bytes }) => this.#end({ event: Event.complete, id, text, bytes }),
      (cause) =>
        this.#end({ event: Event.reject, id, text: JSON.stringify(guestError(cause)), bytes: empty }),
    );
    return id;
  }

  #end(completion: Completion): void {
    if (this.#pending.delete(completion.id)) this.#deliver(completion);
  }
}

/** What a guest learns of an error: a {@link HostError} in its own words, of others only that there was one. */
function guestError(cause: unknown): GuestError {
  if (cause instanceof HostError) {
    const { name, message, code, details } = cause;
    return { name, message, code, details };
  }
  if (cause instanceof SinkCancelled) return { name: "AbortError", message: "the reader went away" };
  return { name: "Error", message: "the host could not do this", code: "host_error" };
}
