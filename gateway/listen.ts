import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { errorResponse, PlatformError, toPlatformError } from "./errors.ts";
import { requestIdOf } from "./request-id.ts";

/** A listener could not be opened. */
export class ListenError extends Error {
  readonly code: "port_in_use" | "listen_failed";
  constructor(code: ListenError["code"], message: string, cause: unknown) {
    super(message, { cause });
    this.name = "ListenError";
    this.code = code;
  }
}

export interface ListenOptions {
  host: string;
  port: number;
  /** The setting to change when the port is taken, for the message. */
  portSetting: string;
  /** Speak TLS, with this certificate and key (PEM). Default: plain HTTP. */
  tls?: { cert: Buffer; key: Buffer } | undefined;
  fetch(request: Request): Response | Promise<Response>;
  /** Asked first: answers a request itself and says so, or leaves it to `fetch`. */
  serve?(request: IncomingMessage, response: ServerResponse): boolean;
  /** Whether other processes may listen on the same port (SO_REUSEPORT), where {@link canSharePort}. Default false. */
  shared?: boolean;
  /** A socket that listens already, instead of a new one. */
  socket?: Handle | undefined;
}

/** A listening socket as it travels between processes; of use only to `net`. */
export type Handle = object;

export interface Listener {
  /** With the port that was really taken. */
  url: string;
  /** For a process that is to listen there as well. */
  socket: Handle;
  /**
   * Takes no new connection and waits for those there are: each gets one more answer, which says that it is the last, or ends by
   * being idle for long. Without a request that fails.
   */
  retire(): Promise<void>;
  /** Takes no new connection, lets those in use finish for at most `graceMs`, and cuts what is left. */
  close(graceMs: number): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 10_000;

/** Where the system deals a port's connections out to several processes. */
export const canSharePort = ["linux", "freebsd", "dragonfly", "sunos", "aix"].includes(process.platform);

/** Opens an HTTP listener. Throws {@link ListenError}. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, port, portSetting, shared = false, socket, tls } = options;
  const listener = getRequestListener(options.fetch, { hostname: "localhost", errorHandler: malformed });
  const server = createHttpServer((request, response) => {
    if (!options.serve?.(request, response)) void listener(request, response);
  }, tls);
  server.on("clientError", answerClientError);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const inUse = error.code === "EADDRINUSE";
      const reason = inUse
        ? `Port ${port} on ${host} is already in use. Stop what uses it, or choose another with ${portSetting}`
        : `Cannot listen on ${host}:${port} (${error.code})`;
      reject(new ListenError(inUse ? "port_in_use" : "listen_failed", reason, error));
    });
    if (socket) server.listen(socket, resolve);
    else server.listen({ host, port, reusePort: shared && canSharePort }, resolve);
  });
  const address = server.address() as AddressInfo;
  const shownHost = host.includes(":") ? `[${host}]` : host;
  return {
    url: `${tls ? "https" : "http"}://${shownHost}:${address.port}`,
    socket: (server as unknown as { _handle: Handle })._handle,
    retire: () => retireServer(server),
    close: (graceMs) => closeServer(server, graceMs),
  };
}

function createHttpServer(listener: RequestListener, tls: ListenOptions["tls"]): Server {
  const settings = { headersTimeout: HEADERS_TIMEOUT_MS };
  if (!tls) return createServer(settings, listener);
  try {
    return createTlsServer({ ...settings, ...tls }, listener);
  } catch (error) {
    const reason = `The TLS certificate or key cannot be used: ${(error as Error).message}`;
    throw new ListenError("listen_failed", reason, error);
  }
}

function retireServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.prependListener("request", (_request, response) => response.setHeader("connection", "close"));
    // Those that the client could still use by what the server has told it are not cut.
    const idleMs = server.keepAliveTimeout + server.keepAliveTimeoutBuffer;
    const timer = setTimeout(() => server.closeIdleConnections(), idleMs);
    // The HTTP server's own would cut idle connections at once, under requests that are on their way.
    NetServer.prototype.close.call(server, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
    // Connections whose request is still under way end soon after its answer, instead of waiting for another request.
    server.keepAliveTimeout = 1;
    server.keepAliveTimeoutBuffer = 0;
  });
}

/** What never became a request: a bad Host header or target, for which the server makes no `Request`. */
function malformed(error: unknown): Response {
  const shown =
    error instanceof Error && error.name === "RequestError"
      ? new PlatformError("invalid_input", "The request target or Host header is malformed", { cause: error })
      : toPlatformError(error);
  return errorResponse(shown, requestIdOf(undefined));
}

function answerClientError(_error: Error, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = requestIdOf(undefined);
  const body = JSON.stringify({
    error: { code: "invalid_input", message: "The request is not valid HTTP", requestId },
  });
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nX-Request-Id: ${requestId}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
