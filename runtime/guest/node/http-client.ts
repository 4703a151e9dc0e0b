import { Buffer } from "./buffer.ts";
import { EventEmitter } from "./events.ts";
import { STATUS_CODES } from "./http-constants.ts";
import { IncomingMessage, OutgoingMessage, Socket } from "./http-messages.ts";

type Callback = (error?: Error | null) => void;
type OnResponse = (response: IncomingMessage) => void;
export interface RequestOptions {
  protocol?: string;
  host?: string;
  hostname?: string;
  port?: number | string;
  path?: string;
  method?: string;
  headers?: Record<string, string | string[] | undefined> | [string, string][];
  auth?: string;
  signal?: AbortSignal;
  timeout?: number;
}

/** Connections are the host's business. */
export class Agent extends (EventEmitter as unknown as new () => EventEmitter) {
  readonly options: object;
  readonly sockets = {};
  readonly requests = {};
  readonly freeSockets = {};
  maxSockets = Number.POSITIVE_INFINITY;
  constructor(options: object = {}) {
    super();
    this.options = options;
  }
  destroy(): void {}
  getName(): string {
    return "";
  }
}
export const globalAgent = new Agent();

/** A request that goes out by `fetch`, once it has ended. */
export class ClientRequest extends OutgoingMessage {
  readonly method: string;
  readonly protocol: string;
  readonly host: string;
  readonly path: string;
  readonly socket: Socket;
  aborted = false;
  reusedSocket = false;
  /** The answer, once there is one. */
  res: IncomingMessage | null = null;
  readonly #url: string;
  readonly #abort = new AbortController();
  #chunks: Uint8Array[] = [];

  constructor(input: string | URL | RequestOptions, options: RequestOptions = {}, onResponse?: OnResponse) {
    super({ autoDestroy: false, decodeStrings: true } as object);
    const given =
      typeof input === "string" || input instanceof URL
        ? { ...fromUrl(new URL(input)), ...options }
        : { ...input, ...options };
    this.method = (given.method ?? "GET").toUpperCase();
    this.protocol = given.protocol ?? "http:";
    const host = (given.hostname ?? given.host ?? "localhost").replace(/:\d+$/, "");
    this.host = host;
    this.path = given.path ?? "/";
    this.socket = new Socket(this.protocol === "https:");
    const port = given.port === undefined || given.port === "" ? "" : `:${given.port}`;
    this.#url = `${this.protocol}//${host}${port}${this.path}`;
    const headers = Array.isArray(given.headers) ? given.headers : Object.entries(given.headers ?? {});
    for (const [name, value] of headers) if (value !== undefined) this.setHeader(name, value);
    if (given.auth) this.setHeader("Authorization", `Basic ${Buffer.from(given.auth).toString("base64")}`);
    if (onResponse) this.once("response", onResponse as never);
    const { signal, timeout } = given;
    signal?.addEventListener("abort", () => this.destroy(signal.reason));
    if (timeout) this.setTimeout(timeout);
    process.nextTick(() => this.emit("socket", this.socket));
  }
  override setTimeout(timeoutMs?: number, onTimeout?: () => void): this {
    if (onTimeout) this.once("timeout", onTimeout);
    if (timeoutMs) {
      const timer = setTimeout(() => this.emit("timeout"), timeoutMs) as unknown as { unref?(): void };
      timer.unref?.();
      this.once("response", () => clearTimeout(timer as unknown as number));
    }
    return this;
  }
  override _write(chunk: Uint8Array, _encoding: string, callback: Callback): void {
    this.#chunks.push(chunk);
    callback();
  }
  override _final(callback: Callback): void {
    this.headersSent = true;
    void this.#send();
    callback();
  }
  async #send(): Promise<void> {
    const body = Buffer.concat(this.#chunks);
    this.#chunks = [];
    const bodyless = this.method === "GET" || this.method === "HEAD";
    const headers = this.webHeaders();
    for (const name of ["host", "connection", "content-length", "transfer-encoding", "expect"])
      headers.delete(name);
    try {
      const response = await fetch(this.#url, {
        method: this.method,
        headers,
        redirect: "manual",
        signal: this.#abort.signal,
        ...(bodyless ? {} : { body }),
      });
      const message = new IncomingMessage(this.socket);
      message.statusCode = response.status;
      message.statusMessage = response.statusText || STATUS_CODES[response.status] || "";
      message.fillWith(response.headers, response.body);
      message.req = this;
      this.res = message;
      if (!this.emit("response", message)) message.resume();
      message.on("close", () => this.emit("close"));
    } catch (error) {
      if (!this.destroyed) this.destroy(error as Error);
    }
  }
  override _destroy(error: Error | null, callback: Callback): void {
    this.#abort.abort(error ?? undefined);
    callback(error);
    process.nextTick(() => this.emit("close"));
  }
  abort(): void {
    this.aborted = true;
    this.destroy();
  }
  flushHeaders(): void {}
  setNoDelay(): void {}
  setSocketKeepAlive(): void {}
}

const fromUrl = (url: URL): RequestOptions => ({
  protocol: url.protocol,
  hostname: url.hostname,
  path: `${url.pathname}${url.search}`,
  ...(url.port === "" ? {} : { port: url.port }),
  ...(url.username === ""
    ? {}
    : { auth: `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}` }),
});

export function request(
  input: string | URL | RequestOptions,
  options?: RequestOptions | OnResponse,
  onResponse?: OnResponse,
): ClientRequest {
  if (typeof options === "function") return new ClientRequest(input, {}, options);
  return new ClientRequest(input, options, onResponse);
}

export function get(...args: Parameters<typeof request>): ClientRequest {
  const sent = request(...args);
  sent.end();
  return sent;
}
