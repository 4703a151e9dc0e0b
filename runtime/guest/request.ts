import type { HeaderList, RequestHead } from "../protocol.ts";
import { AbortController, type AbortSignal } from "./abort.ts";
import { Body, copyContent, extractBody, setContent, takeContent } from "./body.ts";
import { onAbort } from "./invocation.ts";
import { noBytes } from "./primordials.ts";

/** Marks the constructor call that makes the invocation's own request. */
const incoming = Symbol();
const standardMethods = /^(delete|get|head|options|patch|post|put)$/i;

type Redirect = "follow" | "manual" | "error";
export interface RequestInit {
  method?: string;
  headers?: HeadersInit;
  body?: unknown;
  signal?: AbortSignal | null;
  redirect?: Redirect;
}

export class Request extends Body {
  #method = "GET";
  #url: string;
  #list: HeaderList | null = null;
  #headers: Headers | null = null;
  #signal: AbortSignal | null = null;
  #redirect: Redirect = "follow";

  constructor(input: unknown, init?: RequestInit | RequestHead, bytes: Uint8Array = noBytes) {
    super(bytes.length === 0 ? null : (bytes as Uint8Array<ArrayBuffer>));
    if (input === incoming) {
      const head = init as RequestHead;
      this.#method = head.method;
      this.#url = head.url;
      this.#list = head.headers;
      return;
    }
    const given = (init ?? {}) as RequestInit;
    const base = input instanceof Request ? input : null;
    const method = given.method ?? base?.method ?? "GET";
    this.#method = standardMethods.test(method) ? method.toUpperCase() : method;
    this.#url = base ? base.url : new URL(`${input}`).href;
    this.#headers = new Headers(given.headers ?? base?.headers ?? {});
    this.#signal = given.signal === undefined ? (base?.signal ?? null) : given.signal;
    this.#redirect = given.redirect ?? base?.redirect ?? "follow";
    const [content, contentType] = extractBody(given.body);
    if (content !== null && (this.#method === "GET" || this.#method === "HEAD")) {
      throw new TypeError(`A ${this.#method} request cannot have a body`);
    }
    if (contentType !== null && !this.#headers.has("content-type"))
      this.#headers.set("content-type", contentType);
    setContent(this, content ?? (base ? takeContent(base) : null));
  }

  get method(): string {
    return this.#method;
  }
  get url(): string {
    return this.#url;
  }
  get headers(): Headers {
    this.#headers ??= new Headers(this.#list!);
    return this.#headers;
  }
  get signal(): AbortSignal {
    if (this.#signal === null) {
      const controller = new AbortController();
      if (this.#list !== null) onAbort(() => controller.abort());
      this.#signal = controller.signal;
    }
    return this.#signal;
  }
  get redirect(): Redirect {
    return this.#redirect;
  }
  get mode(): string {
    return "cors";
  }
  get credentials(): string {
    return "same-origin";
  }
  get cache(): string {
    return "default";
  }
  get referrer(): string {
    return "about:client";
  }
  get duplex(): string {
    return "half";
  }
  clone(): Request {
    const content = copyContent(this);
    const copy = new Request(this.#url, {
      method: this.#method,
      headers: this.headers,
      redirect: this.#redirect,
      signal: this.signal,
    });
    setContent(copy, content);
    return copy;
  }
}

export function incomingRequest(head: RequestHead, bytes: Uint8Array): Request {
  return new Request(incoming, head, bytes);
}
