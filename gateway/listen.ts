import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { ConnectionLimits } from "./connection-limits.ts";
import { errorResponse, PlatformError, toPlatformError } from "./errors.ts";
import { refuse, refuseConnection } from "./raw-answer.ts";
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
  /** A look at each request before any work is done for it; the error, if any, is its answer. */
  refusal?(request: IncomingMessage): PlatformError | undefined;
  /** For a request with its body to arrive, ms. Default: 5 minutes. */
  requestTimeoutMs?: number;
  /** Connections at once; more are answered with `overloaded`. Default: 10,000. */
  maxConnections?: number;
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
const REQUEST_TIMEOUT_MS = 300_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** How often it is looked for requests that take too long. */
const CHECK_INTERVAL_MS = 1_000;
const KEEP_ALIVE_MS = 5_000;
const MAX_PIPELINED = 32;
/**
 * Connections that wait to be accepted. When there are more, the system drops what their clients send, who then try again after seconds;
 * so it is as large as systems commonly allow.
 */
const BACKLOG = 4_096;
const MAX_CONNECTIONS = 10_000;

/** Where the system deals a port's connections out to several processes. */
export const canSharePort = ["linux", "freebsd", "dragonfly", "sunos", "aix"].includes(process.platform);

/** Opens an HTTP listener. Throws {@link ListenError}. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, port, portSetting, shared = false, socket, tls } = options;
  const listener = getRequestListener(options.fetch, { hostname: "localhost", errorHandler: malformed });
  const server = createHttpServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Without the events of a body that there is not.
      optimizeEmptyRequests: true,
    },
    tls,
  );
  const { maxConnections = MAX_CONNECTIONS } = options;
  const limits = new ConnectionLimits(server, { maxConnections, maxPipelined: MAX_PIPELINED });
  server.on("request", (request, response) => {
    const error = limits.note(request, response) ?? options.refusal?.(request);
    if (error) refuse(request, response, error);
    else if (!options.serve?.(request, response)) void listener(request, response);
  });
  server.on("clientError", answerClientError);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const inUse = error.code === "EADDRINUSE";
      const reason = inUse
        ? `Port ${port} on ${host} is already in use. Stop what uses it, or choose another with ${portSetting}`
        : `Cannot listen on ${host}:${port} (${error.code})`;
      reject(new ListenError(inUse ? "port_in_use" : "listen_failed", reason, error));
    });
    if (socket) server.listen(socket, BACKLOG, resolve);
    else server.listen({ host, port, backlog: BACKLOG, reusePort: shared && canSharePort }, resolve);
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

function createHttpServer(options: ServerOptions, tls: ListenOptions["tls"]): Server {
  if (!tls) return createServer(options);
  try {
    return createTlsServer({ ...options, ...tls });
  } catch (error) {
    const reason = `The TLS certificate or key cannot be used: ${(error as Error).message}`;
    throw new ListenError("listen_failed", reason, error);
  }
}

function retireServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.prependListener("request", (_request, response) => response.setHeader("connection", "close"));
    // Those that the client could still use by what the server has told it are not cut.
    const idleMs = server.keepAliveTimeout + (server.keepAliveTimeoutBuffer ?? 0);
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

/** What the parser refused: too slow, too large or no HTTP. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  refuseConnection(socket, clientError(error.code));
}

function clientError(code: string | undefined): PlatformError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new PlatformError(
        "headers_too_large",
        `The request's headers are over ${MAX_HEADER_BYTES} bytes`,
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new PlatformError("request_timeout", "The request took too long to arrive");
    default:
      return new PlatformError("invalid_input", "The request is not valid HTTP");
  }
}
