import type { LookupAddress } from "node:dns";
import { isIP, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { buildConnector, Client } from "undici";
import type { HeaderList } from "../../protocol.ts";
import { addressList, contains } from "./address-policy.ts";
import { egressError } from "./errors.ts";
import type { Target } from "./target.ts";

export interface HopRequest {
  method: string;
  headers: HeaderList;
  body: Uint8Array | null;
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

/**
 * One request over a connection of its own to a vetted target.
 *
 * Connections are not pooled: a kept connection would have been vetted for another request, perhaps another function's
 * rules, and what a server left on it would reach the next user. The price is a handshake for each request.
 */
export class Hop {
  readonly #client: Client;
  readonly #target: Target;

  constructor(target: Target, limits: HopLimits) {
    this.#target = target;
    this.#client = new Client(target.url.origin, {
      connect: connector(target, limits.connectTimeoutMs),
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: SILENCE_TIMEOUT_MS,
      bodyTimeout: SILENCE_TIMEOUT_MS,
      pipelining: 1,
      allowH2: false,
    });
  }

  async send(request: HopRequest, signal: AbortSignal): Promise<HopResponse> {
    const { pathname, search } = this.#target.url;
    const response = await this.#client.request({
      method: request.method as "GET",
      path: pathname + search,
      headers: request.headers.flat(),
      body: request.body,
      signal,
      reset: true,
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

function connector(target: Target, timeoutMs: number): buildConnector.connector {
  const vetted = addressList(target.addresses);
  const addresses: LookupAddress[] = target.addresses.map((address) => ({ address, family: isIP(address) }));
  const connect = buildConnector({
    timeout: timeoutMs,
    maxCachedSessions: 0,
    // The name stays in Host and SNI; what is connected to is what was vetted, and nothing is resolved again.
    lookup: (_hostname, options, callback) =>
      options.all ? callback(null, addresses) : callback(null, addresses[0]!.address, addresses[0]!.family),
    autoSelectFamily: true,
  });
  return (options, callback) => {
    const socket = connect(options, (...[error, connected]) => {
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
  };
}
