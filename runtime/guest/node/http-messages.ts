import { asBuffer } from "./as-buffer.ts";
import { Buffer } from "./buffer.ts";
import { nodeError } from "./errors.ts";
import { EventEmitter } from "./events.ts";
import { STATUS_CODES } from "./http-constants.ts";
import { Readable, Writable } from "./stream.ts";

// some put classes of their own in the place of these
const { Headers, Response } = globalThis;

type HeaderValue = string | number | readonly string[];
type Callback = (error?: Error | null) => void;

/** What stands for the connection: only what frameworks ask it. */
export class Socket extends (EventEmitter as unknown as new () => EventEmitter) {
  readonly remoteAddress = "127.0.0.1";
  readonly remoteFamily = "IPv4";
  readonly remotePort = 0;
  readonly localAddress = "127.0.0.1";
  readonly localPort = 0;
  readonly encrypted: boolean;
  readable = true;
  writable = true;
  destroyed = false;

  constructor(encrypted: boolean) {
    super();
    this.encrypted = encrypted;
  }
  address() {
    return { address: this.localAddress, family: this.remoteFamily, port: this.localPort };
  }
  destroy(error?: Error): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.readable = this.writable = false;
    if (error) this.emit("error", error);
    this.emit("close", Boolean(error));
    return this;
  }
  end(): this {
    return this.destroy();
  }
  setTimeout(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  cork(): void {}
  uncork(): void {}
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

/** A body as it comes: nothing, all at once, or as a stream. */
export type IncomingBody = null | Uint8Array | string | ReadableStream<Uint8Array>;

/** A request to the function's server, or an answer to a request of its own. */
export class IncomingMessage extends Readable {
  httpVersion = "1.1";
  httpVersionMajor = 1;
  httpVersionMinor = 1;
  complete = false;
  aborted = false;
  readonly headers: Record<string, string | string[] | undefined> = {};
  readonly rawHeaders: string[] = [];
  readonly trailers = {};
  readonly rawTrailers: string[] = [];
  method: string | undefined;
  url = "";
  statusCode: number | undefined;
  statusMessage: string | undefined;
  socket: Socket;
  /** The request that this answers. */
  req: object | undefined;
  #body: IncomingBody = null;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;

  constructor(socket: Socket = new Socket(false)) {
    super({ autoDestroy: true, highWaterMark: 65_536 } as object);
    this.socket = socket;
  }
  get connection(): Socket {
    return this.socket;
  }
  get headersDistinct(): Record<string, string[]> {
    return Object.fromEntries(
      Object.entries(this.headers).map(([name, value]) => [name, [value].flat() as string[]]),
    );
  }
  fillWith(headers: Headers, body: IncomingBody): this {
    for (const [name, value] of headers) {
      this.rawHeaders.push(name, value);
      if (name !== "set-cookie") this.headers[name] = value;
    }
    const cookies = headers.getSetCookie();
    if (cookies.length > 0) this.headers["set-cookie"] = cookies;
    this.#body = body;
    return this;
  }
  override _read(): void {
    const body = this.#body;
    if (body instanceof Uint8Array || typeof body === "string") {
      this.#body = null;
      const bytes = typeof body === "string" ? Buffer.from(body) : asBuffer(body);
      if (bytes.length > 0) this.push(bytes);
      this.#end();
    } else if (body === null) this.#end();
    else void this.#pull(body);
  }
  async #pull(body: ReadableStream<Uint8Array>): Promise<void> {
    this.#reader ??= body.getReader();
    try {
      const { done, value } = await this.#reader.read();
      if (done) this.#end();
      else this.push(asBuffer(value));
    } catch (error) {
      this.aborted = true;
      this.emit("aborted");
      this.destroy(error as Error);
    }
  }
  #end(): void {
    this.complete = true;
    this.push(null);
  }
  setTimeout(): this {
    return this;
  }
}

/** Headers and the first line of what goes out. */
export class OutgoingMessage extends Writable {
  protected readonly fields = new Map<string, [name: string, value: HeaderValue]>();
  headersSent = false;
  sendDate = true;
  shouldKeepAlive = true;
  chunkedEncoding = false;
  useChunkedEncodingByDefault = true;

  get finished(): boolean {
    return this.writableEnded;
  }
  /** Set once the head has been sent, as in Node, where it is the head's text. */
  get _header(): string | null {
    return this.headersSent ? "sent" : null;
  }
  setHeader(name: string, value: HeaderValue): this {
    if (this.headersSent)
      throw nodeError(Error, "ERR_HTTP_HEADERS_SENT", "Cannot set headers after they are sent to the client");
    if (value === undefined)
      throw nodeError(
        TypeError,
        "ERR_HTTP_INVALID_HEADER_VALUE",
        `Invalid value "undefined" for header "${name}"`,
      );
    this.fields.set(`${name}`.toLowerCase(), [`${name}`, value]);
    return this;
  }
  appendHeader(name: string, value: string | readonly string[]): this {
    const known = this.getHeader(name);
    return this.setHeader(name, known === undefined ? value : [known, value].flat().map(String));
  }
  setHeaders(headers: Headers | Map<string, HeaderValue>): this {
    for (const [name, value] of headers as Iterable<[string, HeaderValue]>) {
      if (name === "set-cookie") this.appendHeader(name, value as string);
      else this.setHeader(name, value);
    }
    return this;
  }
  getHeader(name: string): HeaderValue | undefined {
    return this.fields.get(`${name}`.toLowerCase())?.[1];
  }
  hasHeader(name: string): boolean {
    return this.fields.has(`${name}`.toLowerCase());
  }
  removeHeader(name: string): void {
    if (this.headersSent)
      throw nodeError(
        Error,
        "ERR_HTTP_HEADERS_SENT",
        "Cannot remove headers after they are sent to the client",
      );
    this.fields.delete(`${name}`.toLowerCase());
  }
  getHeaders(): Record<string, HeaderValue> {
    return Object.assign(
      Object.create(null),
      Object.fromEntries([...this.fields].map(([name, [, value]]) => [name, value])),
    );
  }
  getHeaderNames(): string[] {
    return [...this.fields.keys()];
  }
  getRawHeaderNames(): string[] {
    return [...this.fields.values()].map(([name]) => name);
  }
  addTrailers(): void {}
  setTimeout(): this {
    return this;
  }
  protected webHeaders(): Headers {
    const headers = new Headers();
    for (const [name, value] of this.fields.values())
      for (const each of [value].flat()) headers.append(name, `${each}`);
    return headers;
  }
}

const bodyless = new Set([204, 205, 304]);

/** The answer of the function's server: in one piece where it ends before it has been flushed, otherwise as a stream. */
export class ServerResponse extends OutgoingMessage {
  statusCode = 200;
  statusMessage = "";
  strictContentLength = false;
  readonly req: IncomingMessage;
  socket: Socket | null;
  readonly #answer: (response: Response) => void;
  #whole: Uint8Array[] | null = null;
  #output: ReadableStreamDefaultController<Uint8Array> | null = null;
  #resume: Callback | null = null;
  #response: Response | null = null;

  constructor(req: IncomingMessage, answer: (response: Response) => void = () => {}) {
    super({ autoDestroy: true, decodeStrings: true, highWaterMark: 65_536 } as object);
    this.req = req;
    this.socket = req.socket ?? null;
    this.#answer = answer;
    this.on("close", () => this.#closed());
  }
  get connection(): Socket | null {
    return this.socket;
  }
  writeHead(status: number, reason?: unknown, given?: unknown): this {
    if (this.headersSent)
      throw nodeError(
        Error,
        "ERR_HTTP_HEADERS_SENT",
        "Cannot write headers after they are sent to the client",
      );
    const code = Number(status) | 0;
    if (code < 100 || code > 999)
      throw nodeError(RangeError, "ERR_HTTP_INVALID_STATUS_CODE", `Invalid status code: ${status}`);
    this.statusCode = code;
    if (typeof reason === "string") this.statusMessage = reason;
    const headers = typeof reason === "string" ? given : reason;
    if (Array.isArray(headers)) {
      const pairs = Array.isArray(headers[0])
        ? headers
        : headers.flatMap((_, i) => (i % 2 === 0 ? [[headers[i], headers[i + 1]]] : []));
      for (const [name] of pairs) this.removeHeader(name);
      for (const [name, value] of pairs) this.appendHeader(name, value);
    } else if (headers && typeof headers === "object") {
      for (const [name, value] of Object.entries(headers))
        if (value !== undefined) this.setHeader(name, value as HeaderValue);
    }
    this.headersSent = true;
    return this;
  }
  _implicitHeader(): void {
    this.writeHead(this.statusCode);
  }
  flushHeaders(): void {
    if (!this.headersSent) this._implicitHeader();
    this.#stream();
  }
  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    if (!this.headersSent) this._implicitHeader();
    return super.write(chunk as string, encoding as BufferEncoding, callback as Callback);
  }
  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    if (this.writableEnded) return this;
    if (!this.headersSent) {
      this.#whole = [];
      const size =
        typeof chunk === "string"
          ? Buffer.byteLength(chunk, encoding as BufferEncoding)
          : chunk instanceof Uint8Array
            ? chunk.length
            : 0;
      if (
        !this.hasHeader("content-length") &&
        !this.hasHeader("transfer-encoding") &&
        !bodyless.has(this.statusCode)
      )
        this.setHeader("Content-Length", size);
      this._implicitHeader();
    } else if (!this.#output) this.#whole = [];
    super.end(chunk as string, encoding as BufferEncoding, callback as () => void);
    return this;
  }
  override _write(chunk: Uint8Array, _encoding: string, callback: Callback): void {
    if (this.#whole) {
      this.#whole.push(chunk);
      callback();
      return;
    }
    this.#stream();
    const output = this.#output;
    output?.enqueue(new Uint8Array(chunk));
    if ((output?.desiredSize ?? 1) > 0) callback();
    else this.#resume = callback;
  }
  override _final(callback: Callback): void {
    if (this.#output) this.#output.close();
    else {
      const bytes = this.#whole?.length === 1 ? this.#whole[0]! : Buffer.concat(this.#whole ?? []);
      const none = bodyless.has(this.statusCode) || (bytes.length === 0 && !this.hasHeader("content-type"));
      this.#response = this.#make(none ? null : (bytes as Uint8Array<ArrayBuffer>));
    }
    callback();
  }
  /** What listens to the end has heard of it before the answer leaves, and the sandbox with it. */
  #closed(): void {
    this.req.destroy();
    this.req.emit("close");
    if (this.#response) this.#answer(this.#response);
    this.#response = null;
  }
  #stream(): void {
    if (this.#output || this.#whole) return;
    if (bodyless.has(this.statusCode) || this.req.method === "HEAD") {
      this.#whole = [];
      return;
    }
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#output = controller;
        },
        pull: () => {
          const resume = this.#resume;
          this.#resume = null;
          resume?.();
        },
        cancel: () => {
          this.socket?.destroy();
          this.req.aborted = true;
          this.req.emit("aborted");
          this.destroy();
        },
      },
      { highWaterMark: 1 },
    );
    this.#answer(this.#make(body));
  }
  #make(body: BodyInit | null): Response {
    const headers = this.webHeaders();
    for (const name of ["connection", "transfer-encoding", "keep-alive"]) headers.delete(name);
    return new Response(body, {
      status: this.statusCode,
      statusText: this.statusMessage || STATUS_CODES[this.statusCode] || "",
      headers,
    });
  }
  assignSocket(socket: Socket): void {
    this.socket = socket;
  }
  detachSocket(): void {
    this.socket = null;
  }
  writeContinue(): void {}
  writeEarlyHints(): void {}
  writeProcessing(): void {}
}
