import { EventEmitter } from "./events.ts";
import { type IncomingBody, IncomingMessage, ServerResponse, Socket } from "./http-messages.ts";
import { platform } from "./platform.ts";

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A server that does not listen anywhere: the function's requests come to it. */
export class Server extends (EventEmitter as unknown as new () => EventEmitter) {
  listening = false;
  timeout = 0;
  keepAliveTimeout = 5_000;
  headersTimeout = 60_000;
  requestTimeout = 300_000;
  maxHeadersCount = null;
  maxRequestsPerSocket = 0;
  #port = 0;

  constructor(options?: object | Listener, listener?: Listener) {
    super();
    const handle = typeof options === "function" ? options : listener;
    if (handle) this.on("request", handle as Listener as never);
  }
  listen(...args: unknown[]): this {
    const [first] = args;
    const wanted = typeof first === "object" && first !== null ? (first as { port?: unknown }).port : first;
    this.#port = Number(wanted) || 0;
    platform.captureServer("listen()", (request, _context, body) =>
      this.#handle(request as unknown as Request, body as IncomingBody),
    );
    this.listening = true;
    const done = args.findLast((arg) => typeof arg === "function") as (() => void) | undefined;
    if (done) this.once("listening", done);
    process.nextTick(() => this.emit("listening"));
    return this;
  }
  #handle(request: Request, body: IncomingBody): Promise<Response> {
    const { url, method, headers } = request;
    const from = url.indexOf("/", url.indexOf("//") + 2);
    const incoming = new IncomingMessage(new Socket(url.startsWith("https:")));
    incoming.method = method;
    incoming.url = from < 0 ? "/" : url.slice(from);
    incoming.fillWith(headers, body);
    incoming.headers.host ??= new URL(url).host;
    return new Promise((resolve, reject) => {
      const response = new ServerResponse(incoming, resolve);
      response.on("error", reject);
      incoming.on("error", () => {});
      if (!this.emit("request", incoming, response)) response.writeHead(404).end();
    });
  }
  address() {
    return this.listening ? { address: "127.0.0.1", family: "IPv4", port: this.#port } : null;
  }
  close(done?: (error?: Error) => void): this {
    this.listening = false;
    process.nextTick(() => {
      this.emit("close");
      done?.();
    });
    return this;
  }
  closeAllConnections(): void {}
  closeIdleConnections(): void {}
  getConnections(done: (error: null, count: number) => void): this {
    process.nextTick(done, null, 1);
    return this;
  }
  setTimeout(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

export const createServer = (options?: object | Listener, listener?: Listener): Server =>
  new Server(options, listener);
