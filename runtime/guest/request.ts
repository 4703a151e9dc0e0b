import type { HeaderList, RequestHead } from "../protocol.ts";
import { AbortController, AbortSignal } from "./abort.ts";
import { Body, type Content, copyContent, extractBody, setContent, takeContent } from "./body.ts";
import { Headers, headersOf } from "./headers.ts";
import { onAbort } from "./invocation.ts";
import { isStream } from "./stream.ts";

/** Marks the constructor call that makes the invocation's own request. */
const incoming = Symbol();
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const normalizedMethods = /^(delete|get|head|options|post|put)$/i;
const forbiddenMethods = /^(connect|trace|track)$/i;

const choices = {
  cache: ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"],
  credentials: ["same-origin", "omit", "include"],
  mode: ["cors", "same-origin", "no-cors", "navigate"],
  redirect: ["follow", "error", "manual"],
  referrerPolicy: [
    "",
    "no-referrer",
    "no-referrer-when-downgrade",
    "same-origin",
    "origin",
    "strict-origin",
    "origin-when-cross-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
  ],
  duplex: ["half"],
  priority: ["auto", "high", "low"],
} as const;
type Choice = keyof typeof choices;
type Redirect = "follow" | "manual" | "error";

export interface RequestInit {
  method?: string;
  headers?: HeadersInit;
  body?: unknown;
  signal?: AbortSignal | null;
  redirect?: Redirect;
  mode?: string;
  credentials?: string;
  cache?: string;
  referrer?: string;
  referrerPolicy?: string;
  integrity?: string;
  keepalive?: boolean;
  duplex?: "half";
  window?: null;
}

function choose(init: RequestInit, name: Choice, fallback: string): string {
  const value = (init as Record<string, unknown>)[name];
  if (value === undefined) return fallback;
  if (!(choices[name] as readonly string[]).includes(`${value as string}`))
    throw new TypeError(`"${value as string}" is no value of ${name}`);
  return `${value as string}`;
}

function checkMethod(method: string): string {
  if (!token.test(method) || forbiddenMethods.test(method))
    throw new TypeError(`"${method}" is not a method that a request can have`);
  return normalizedMethods.test(method) ? method.toUpperCase() : method;
}

function parseUrl(input: unknown): string {
  const url = new URL(`${input as string}`);
  if (url.username !== "" || url.password !== "") throw new TypeError("A request's URL holds no credentials");
  return url.href;
}

function parseReferrer(referrer: string): string {
  if (referrer === "") return "";
  const { href } = new URL(referrer);
  return href === "about:client" ? href : "about:client";
}

/** What most requests never set: kept apart, so that making one stays cheap. */
interface Settings {
  mode: string;
  credentials: string;
  cache: string;
  referrer: string;
  referrerPolicy: string;
  integrity: string;
  keepalive: boolean;
}
const defaults: Settings = {
  mode: "cors",
  credentials: "same-origin",
  cache: "default",
  referrer: "about:client",
  referrerPolicy: "",
  integrity: "",
  keepalive: false,
};

function readSettings(init: RequestInit, base: Settings): Settings {
  if (init.window !== undefined && init.window !== null) throw new TypeError("window can only be null");
  const referrer = init.referrer === undefined ? base.referrer : parseReferrer(`${init.referrer}`);
  const settings = {
    referrer,
    referrerPolicy: choose(init, "referrerPolicy", base.referrerPolicy),
    mode: choose(init, "mode", base.mode),
    credentials: choose(init, "credentials", base.credentials),
    cache: choose(init, "cache", base.cache),
    integrity: init.integrity === undefined ? base.integrity : `${init.integrity}`,
    keepalive: init.keepalive === undefined ? base.keepalive : Boolean(init.keepalive),
  };
  choose(init, "duplex", "half");
  choose(init, "priority", "auto");
  if (settings.mode === "navigate") throw new TypeError("A request cannot be a navigation");
  if (settings.cache === "only-if-cached" && settings.mode !== "same-origin")
    throw new TypeError('cache "only-if-cached" needs mode "same-origin"');
  return settings;
}

export class Request extends Body {
  #method = "GET";
  #url: string;
  #list: HeaderList | null = null;
  #headers: Headers | null = null;
  #signal: AbortSignal | null = null;
  #redirect: Redirect = "follow";
  #settings = defaults;

  constructor(input: unknown, init?: RequestInit | RequestHead | null, content: Content = null) {
    super(content);
    if (input === incoming) {
      const head = init as RequestHead;
      this.#method = head.method;
      this.#url = head.url;
      this.#list = head.headers;
      return;
    }
    // biome-ignore lint/complexity/noArguments: how many there are is what the standard asks for
    if (arguments.length === 0) throw new TypeError("A request needs a URL");
    const base = input instanceof Request ? input : null;
    this.#url = base ? base.#url : parseUrl(input);
    if (base) {
      this.#method = base.#method;
      this.#redirect = base.#redirect;
      this.#settings = base.#settings;
    }
    let body: unknown;
    let headers: HeadersInit | undefined = base?.headers;
    let signal: AbortSignal | null = base ? base.signal : null;
    if (init !== undefined && init !== null) {
      const given = init as RequestInit;
      if (typeof given !== "object" && typeof given !== "function")
        throw new TypeError("A request's second argument is an object");
      this.#settings = readSettings(given, this.#settings);
      this.#redirect = choose(given, "redirect", this.#redirect) as Redirect;
      if (given.method !== undefined) this.#method = checkMethod(`${given.method}`);
      if (given.signal !== undefined) {
        if (given.signal !== null && !(given.signal instanceof AbortSignal))
          throw new TypeError("signal is not an AbortSignal");
        signal = given.signal;
      }
      if (given.headers !== undefined) headers = given.headers;
      body = given.body;
    }
    if (this.#settings.mode === "no-cors" && !/^(GET|HEAD|POST)$/.test(this.#method))
      throw new TypeError(`A request of mode "no-cors" cannot have the method ${this.#method}`);
    if (signal !== null) this.#signal = AbortSignal.any([signal]);
    if (headers !== undefined) this.#headers = new Headers(headers);
    const hasBody = body !== undefined && body !== null;
    if ((hasBody || (base && base.body !== null)) && (this.#method === "GET" || this.#method === "HEAD"))
      throw new TypeError(`A ${this.#method} request cannot have a body`);
    const [own, contentType] = extractBody(body);
    if (isStream(own) && this.#settings.keepalive)
      throw new TypeError("A request with keepalive cannot have a stream as its body");
    if (contentType !== null && !this.headers.has("content-type"))
      this.headers.set("content-type", contentType);
    if (hasBody) setContent(this, own);
    else if (base) setContent(this, takeContent(base));
  }

  get method(): string {
    return this.#method;
  }
  get url(): string {
    return this.#url;
  }
  get headers(): Headers {
    this.#headers ??= headersOf(this.#list ?? []);
    return this.#headers;
  }
  get signal(): AbortSignal {
    if (this.#signal === null) {
      const controller = new AbortController();
      if (this.#list !== null) onAbort((reason) => controller.abort(reason));
      this.#signal = controller.signal;
    }
    return this.#signal;
  }
  get redirect(): Redirect {
    return this.#redirect;
  }
  get mode(): string {
    return this.#settings.mode;
  }
  get credentials(): string {
    return this.#settings.credentials;
  }
  get cache(): string {
    return this.#settings.cache;
  }
  get referrer(): string {
    return this.#settings.referrer;
  }
  get referrerPolicy(): string {
    return this.#settings.referrerPolicy;
  }
  get integrity(): string {
    return this.#settings.integrity;
  }
  get keepalive(): boolean {
    return this.#settings.keepalive;
  }
  get destination(): string {
    return "";
  }
  get isReloadNavigation(): boolean {
    return false;
  }
  get isHistoryNavigation(): boolean {
    return false;
  }
  get duplex(): string {
    return "half";
  }
  clone(): Request {
    const content = copyContent(this);
    const copy = new Request(this.#url, { signal: this.signal, headers: this.headers });
    copy.#method = this.#method;
    copy.#redirect = this.#redirect;
    copy.#settings = this.#settings;
    setContent(copy, content);
    return copy;
  }
}

export function incomingRequest(head: RequestHead, content: Content): Request {
  return new Request(incoming, head, content);
}
