import type { FetchRequest, FetchResponse } from "../../protocol.ts";
import { abortError, egressError, fromTransport } from "./errors.ts";
import { type Connection, Connections, type HopRequest, type HopResponse } from "./hop.ts";
import { checkMethod, outgoingHeaders, withoutBodyHeaders, withoutCredentials } from "./request-headers.ts";
import { bodyStream, codings } from "./response-body.ts";
import { type Resolve, resolveBySystem, type Target, Targets } from "./target.ts";

export interface EgressOptions {
  /** `host:port` entries that are allowed although private or on a blocked port; a matter for the operator. Default none. */
  allow?: string[];
  /** Default 3000. */
  connectTimeoutMs?: number;
  /** Default 5. */
  maxRedirects?: number;
  /** Of one answer, decompressed. Default 10 MiB. */
  maxBodyBytes?: number;
  /** Of a request's headers and of an answer's, each. Default 16 KiB. */
  maxHeaderBytes?: number;
  /** All addresses of a name. Default: the system's resolver. */
  resolve?: Resolve;
}

/** What the function's own configuration narrows. One object for each tenant: connections are kept for it, and for nobody else. */
export interface EgressPolicy {
  /** Names or `*.suffix`; undefined allows every public host, an empty list none. */
  hosts?: string[];
}

export interface Egress {
  /**
   * Resolves when the answer's head is there; its body must be read or cancelled. Rejects, as its body does, with a HostError whose
   * code is an `EgressErrorCode`. The total time is the caller's to limit by the signal; a reason named TimeoutError becomes
   * `egress_timeout`.
   */
  fetch(
    request: FetchRequest,
    body: Uint8Array | ReadableStream<Uint8Array>,
    signal: AbortSignal,
    policy?: EgressPolicy,
  ): Promise<{ head: FetchResponse; body: Uint8Array | ReadableStream<Uint8Array> }>;
  /** Ends all requests under way with `egress_aborted` and refuses later ones. */
  close(): Promise<void>;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Throws a TypeError for a bad `allow` entry. */
export function createEgress(options: EgressOptions = {}): Egress {
  const targets = new Targets(options.allow ?? [], options.resolve ?? resolveBySystem);
  const limits = {
    connectTimeoutMs: options.connectTimeoutMs ?? 3000,
    maxHeaderBytes: options.maxHeaderBytes ?? 16 * 1024,
  };
  const maxBodyBytes = options.maxBodyBytes ?? 10 * 1024 * 1024;
  const maxRedirects = options.maxRedirects ?? 5;
  const closing = new AbortController();
  const underWay = new Set<Promise<unknown>>();
  const tenants = new WeakMap<EgressPolicy, Connections>();
  const nobody: EgressPolicy = {};

  async function follow(
    request: FetchRequest,
    bytes: Uint8Array | ReadableStream<Uint8Array>,
    signal: AbortSignal,
    policy: EgressPolicy,
  ): Promise<Answer> {
    let url = parseUrl(request.url);
    let method = normalMethod(request.method);
    let body = request.hasBody ? bytes : null;
    checkMethod(method, body !== null);
    let headers = outgoingHeaders(request.headers, limits.maxHeaderBytes);
    const connections = tenants.get(policy) ?? new Connections(limits);
    if (policy !== nobody) tenants.set(policy, connections);

    for (let redirects = 0; ; redirects++) {
      if (signal.aborted) throw abortError(signal, url.host);
      const target = await targets.vet(url, policy, signal);
      const { response, connection } = await send(connections, target, { method, headers, body }, signal);
      let location: URL | null;
      try {
        location = redirectLocation(response, request.redirect, url);
        if (location !== null && redirects >= maxRedirects)
          throw egressError(
            "egress_redirects",
            `more than ${maxRedirects} redirects, the last by ${url.host}`,
          );
      } catch (error) {
        void connection.close();
        throw error;
      }
      if (location === null) {
        const done = (whole: boolean) => {
          if (whole && policy !== nobody) connections.keep(connection);
          else void connection.close();
        };
        return finish(response, url, method, redirects > 0, signal, done);
      }
      // what a redirect says besides its location is not read
      void connection.close();
      const turnsIntoGet =
        response.status === 303
          ? method !== "GET" && method !== "HEAD"
          : method === "POST" && (response.status === 301 || response.status === 302);
      if (turnsIntoGet) {
        method = "GET";
        body = null;
        headers = withoutBodyHeaders(headers);
      } else if (body instanceof ReadableStream) {
        throw egressError("egress_redirects", `${url.host} redirects, and the body is a stream that is gone`);
      }
      if (location.origin !== url.origin) headers = withoutCredentials(headers);
      url = location;
    }
  }

  function finish(
    response: HopResponse,
    url: URL,
    method: string,
    redirected: boolean,
    signal: AbortSignal,
    done: (whole: boolean) => void,
  ): Answer {
    const applied = codings(response.headers);
    const hasBody = method !== "HEAD" && ![101, 204, 205, 304].includes(response.status);
    const options = { maxBytes: maxBodyBytes, host: url.host, signal, done };
    const body = bodyStream(response.body, applied ?? [], options);
    // A HEAD's length is news; any other would contradict the decoded body.
    const dropped = new Set(["connection", "keep-alive", "transfer-encoding", "trailer", "upgrade"]);
    if (method !== "HEAD" && applied !== null && applied.length > 0) dropped.add("content-length");
    if (method !== "HEAD" && applied !== null) dropped.add("content-encoding");
    const head: FetchResponse = {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers.filter(([name]) => !dropped.has(name)),
      url: withoutFragment(url),
      redirected,
      hasBody,
    };
    if (hasBody) return { head, body };
    // read to its end, so that the connection can be kept
    void body
      .getReader()
      .read()
      .catch(() => {});
    return { head, body: new Uint8Array(0) };
  }

  return {
    async fetch(request, body, signal, policy = nobody) {
      const result = follow(request, body, AbortSignal.any([signal, closing.signal]), policy);
      underWay.add(result);
      try {
        return await result;
      } finally {
        underWay.delete(result);
      }
    },
    async close() {
      closing.abort();
      await Promise.allSettled(underWay);
    },
  };
}

interface Answer {
  head: FetchResponse;
  body: Uint8Array | ReadableStream<Uint8Array>;
}

/** Methods that may be sent again when a kept connection turns out to be closed. */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

async function send(
  connections: Connections,
  target: Target,
  request: HopRequest,
  signal: AbortSignal,
): Promise<{ response: HopResponse; connection: Connection }> {
  for (;;) {
    const connection = connections.take(target);
    try {
      return { response: await connection.send(target, request, signal), connection };
    } catch (error) {
      void connection.close();
      const code = String((error as { code?: unknown }).code);
      const closed = code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE";
      const repeatable = REPEATABLE.has(request.method) && !(request.body instanceof ReadableStream);
      if (!(connection.reused && closed && repeatable)) throw fromTransport(error, target.url.host, signal);
    }
  }
}

function redirectLocation(response: HopResponse, mode: FetchRequest["redirect"], url: URL): URL | null {
  const location = response.headers.find(([name]) => name === "location")?.[1];
  if (!REDIRECTS.has(response.status) || location === undefined || mode === "manual") return null;
  if (mode === "error")
    throw egressError("egress_redirects", `${url.host} redirects, which the request forbids`);
  const next = URL.parse(location, url);
  if (!next) throw egressError("egress_protocol", `${url.host} redirects to something that is no URL`);
  return next;
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (!url) throw egressError("egress_protocol", "the URL is not valid");
  return url;
}

/** https://fetch.spec.whatwg.org/#concept-method-normalize */
const normalMethod = (method: string) =>
  /^(delete|get|head|options|post|put)$/i.test(method) ? method.toUpperCase() : method;

function withoutFragment(url: URL): string {
  const copy = new URL(url);
  copy.hash = "";
  return copy.href;
}
