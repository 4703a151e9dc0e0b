import type { HeaderList } from "../../protocol.ts";
import { egressError } from "./errors.ts";

/** Ours to set, or meaningful for one connection only. */
const DROPPED = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
]);
const CREDENTIALS = new Set(["authorization", "cookie", "proxy-authorization"]);
const BODY_HEADERS = new Set(["content-encoding", "content-language", "content-location", "content-type"]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const METHODS_REFUSED = new Set(["CONNECT", "TRACE", "TRACK"]);

/** Throws `egress_protocol` or `egress_denied`. */
export function checkMethod(method: string, hasBody: boolean): void {
  if (!TOKEN.test(method)) throw egressError("egress_protocol", "the method is not valid");
  if (METHODS_REFUSED.has(method.toUpperCase()))
    throw egressError("egress_denied", `${method} is not allowed`);
  if (hasBody && (method === "GET" || method === "HEAD"))
    throw egressError("egress_protocol", `a ${method} request has no body`);
}

/**
 * The headers that go out: the function's without those that are the host's business, and ours. Throws
 * `egress_protocol` for what could break out of a header line, `egress_too_large` over `maxBytes`.
 */
export function outgoingHeaders(headers: HeaderList, maxBytes: number): HeaderList {
  const result: HeaderList = [];
  let bytes = 0;
  for (const [name, raw] of headers) {
    if (!TOKEN.test(name)) throw egressError("egress_protocol", "a header name is not valid");
    if (/[\0\r\n]|[^\t\x20-\x7e\x80-\xff]/.test(raw))
      throw egressError("egress_protocol", `the value of the header ${name} is not valid`);
    const lower = name.toLowerCase();
    if (DROPPED.has(lower) || lower.startsWith("proxy-") || lower.startsWith("sec-")) continue;
    bytes += name.length + raw.length + 4;
    result.push([lower, raw.trim()]);
  }
  if (bytes > maxBytes)
    throw egressError("egress_too_large", `the headers are larger than ${maxBytes} bytes`);
  const has = (name: string) => result.some(([other]) => other === name);
  if (!has("accept")) result.push(["accept", "*/*"]);
  if (!has("user-agent")) result.push(["user-agent", "thimble"]);
  result.push(["accept-encoding", "gzip, deflate, br"]);
  return result;
}

/** For a redirect to another origin. Keys in headers of other names cannot be known and are the function's care. */
export const withoutCredentials = (headers: HeaderList): HeaderList =>
  headers.filter(([name]) => !CREDENTIALS.has(name.toLowerCase()));

/** For a redirect that turns the request into a GET. */
export const withoutBodyHeaders = (headers: HeaderList): HeaderList =>
  headers.filter(([name]) => !BODY_HEADERS.has(name.toLowerCase()));
