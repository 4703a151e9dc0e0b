import type { LookupAddress } from "node:dns";
import { isIP, type Socket } from "node:net";
import { Readable } from "node:stream";
import { buildConnector, Client } from "undici";
import type { HeaderList } from "../../protocol.ts";
import { addressList, contains } from "./address-policy.ts";
import { egressError } from "./errors.ts";
import type { Target } from "./target.ts";

export interface HopRequest {
  method: string;
  headers: HeaderList;
  body: Uint8Array | ReadableStream<Uint8Array> | null;
}

export interface HopResponse {
  status: number;
  statusText: string;
  /** Names in lower case. */
  headers: HeaderList;
  body: Readable;
}

export interface HopLimits {
  connectTimeoutMs: number;
  maxHeaderBytes: number;
}

/** Backstop for callers whose signal has no deadline. */
const SILENCE_TIMEOUT_MS = 60_000;

/** How long a connection may lie idle, ms. */
const IDLE_MS = 4_000;

/** Idle connections that one tenant keeps. */
const MAX_IDLE = 8;

/** A connection to a vetted target, for one request at a time. */
export class Connection {
  readonly #client: Client;
  readonly origin: string;
  /** True for one that has carried a request: its server may have closed it since. */
  reused = false;
  #target: Target;
  #peer: string | null = null;

  constructor(target: Target, limits: HopLimits) {
    this.origin = target.url.origin;
    this.#target = target;
    this.#client = new Client(this.origin, {
      connect: (options, callback) =>
        connect(this.#target, limits.connectTimeoutMs, options, (error, socket) => {
          this.#peer = socket?.remoteAddress ?? null;
          if (error) callback(error, null);
          else callback(null, socket!);
        }),
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: SILENCE_TIMEOUT_MS,
      bodyTimeout: SILENCE_TIMEOUT_MS,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: IDLE_MS,
      pipelining: 1,
      allowH2: false,
    });
  }

  /** Takes over the addresses that were vetted now; false when the connection goes to none of them. */
  retarget(target: Target): boolean {
    if (this.#peer !== null && !contains(addressList(target.addresses), this.#peer)) return false;
    this.#target = target;
    this.reused = true;
    return true;
  }

  async send(target: Target, request: HopRequest, signal: AbortSignal): Promise<HopResponse> {
    const { pathname, search } = target.url;
    const { body } = request;
    const response = await this.#client.request({
      method: request.method as "GET",
      path: pathname + search,
      headers: request.headers.flat(),
      body: body instanceof ReadableStream ? Readable.fromWeb(body as never) : body,
      signal,
      responseHeaders: "raw",
    });
    const raw = response.headers as unknown as string[];
    const headers: HeaderList = [];
    for (let i = 0; i + 1 < raw.length; i += 2)
      headers.push([String(raw[i]).toLowerCase(), String(raw[i + 1])]);
    return {
      status: response.statusCode,
      statusText: response.statusText ?? "",
      headers,
      body: response.body,
    };
  }

  /** Cuts the connection, whatever is under way. */
  async close(): Promise<void> {
    await this.#client.destroy();
  }
}

interface Idle {
  connection: Connection;
  timer: NodeJS.Timeout;
}

/**
 * The connections of one tenant. They are kept for its next requests and never given to another: what a server left on
 * one reaches nobody else. Each request is vetted anew, and takes a kept connection only to an address that it may go to.
 */
export class Connections {
  readonly #limits: HopLimits;
  #idle: Idle[] = [];

  constructor(limits: HopLimits) {
    this.#limits = limits;
  }

  take(target: Target): Connection {
    for (const entry of this.#idle.filter(({ connection }) => connection.origin === target.url.origin)) {
      this.#remove(entry);
      if (entry.connection.retarget(target)) return entry.connection;
      void entry.connection.close();
    }
    return new Connection(target, this.#limits);
  }

  /** The connection's answer has been read to its end. */
  keep(connection: Connection): void {
    const entry = { connection, timer: setTimeout(() => this.#close(entry), IDLE_MS).unref() };
    this.#idle.push(entry);
    if (this.#idle.length > MAX_IDLE) this.#close(this.#idle[0]!);
  }

  close(): void {
    for (const entry of [...this.#idle]) this.#close(entry);
  }

  #remove(entry: Idle): void {
    clearTimeout(entry.timer);
    this.#idle = this.#idle.filter((other) => other !== entry);
  }

  #close(entry: Idle): void {
    this.#remove(entry);
    void entry.connection.close();
  }
}

type Connected = (error: Error | null, socket: Socket | null) => void;

function connect(
  target: Target,
  timeoutMs: number,
  options: buildConnector.Options,
  callback: Connected,
): void {
  const vetted = addressList(target.addresses);
  const addresses: LookupAddress[] = target.addresses.map((address) => ({ address, family: isIP(address) }));
  const connector = buildConnector({
    timeout: timeoutMs,
    maxCachedSessions: 0,
    // The name stays in Host and SNI; what is connected to is what was vetted, and nothing is resolved again.
    lookup: (_hostname, options, callback) =>
      options.all ? callback(null, addresses) : callback(null, addresses[0]!.address, addresses[0]!.family),
    autoSelectFamily: true,
  });
  const socket = connector(options, (...[error, connected]) => {
    clearTimeout(timer);
    if (error) return callback(error, null);
    if (contains(vetted, connected!.remoteAddress ?? "")) return callback(null, connected!);
    connected!.destroy();
    callback(egressError("egress_denied", `${target.url.host} is not where it was resolved to be`), null);
  }) as unknown as Socket;
  // The connector's own timer is coarse: it may be a second late.
  const late = () =>
    socket.destroy(
      egressError("egress_timeout", `connecting to ${target.url.host} timed out after ${timeoutMs} ms`),
    );
  const timer = setTimeout(late, timeoutMs);
}
