import type { HeaderList } from "../runtime/protocol.ts";

/** Headers of one connection, not of the message (RFC 9110, section 7.6.1, and the older ones still seen). */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/** What is needed of a client's headers: lower-case names, and values that are already one for each. */
export interface ClientHeaders extends Iterable<[string, string]> {
  get(name: string): string | null;
}

/** A client's headers as a function gets them: without those of the connection, nor those that `Connection` names, nor `hidden`. */
export function requestHeaders(headers: ClientHeaders, hidden?: string): HeaderList {
  const connection = headers.get("connection");
  const named = connection ? connection.toLowerCase().split(/\s*,\s*/) : [];
  const list: HeaderList = [];
  for (const header of headers) {
    const [name] = header;
    if (!HOP_BY_HOP.has(name) && name !== hidden && !named.includes(name)) list.push(header);
  }
  return list;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/;
// A field value as RFC 9110 allows it: visible Latin-1, space and tab.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Header bytes that clients and proxies commonly accept. */
const MAX_HEADER_CHARACTERS = 32_768;

/** Framing and correlation are the host's. */
const HOST_OWNED = new Set(["content-length", "x-request-id", "date"]);

/**
 * A function's headers, lower-cased and checked, or undefined when they cannot be sent. Those of the connection and
 * those that the host sets itself are left out.
 */
export function responseHeaders(list: HeaderList): HeaderList | undefined {
  const checked: HeaderList = [];
  let characters = 0;
  for (const [name, value] of list) {
    characters += name.length + value.length;
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value) || characters > MAX_HEADER_CHARACTERS) return undefined;
    const lower = name.toLowerCase();
    if (!HOP_BY_HOP.has(lower) && !HOST_OWNED.has(lower)) checked.push([lower, value]);
  }
  return checked;
}
