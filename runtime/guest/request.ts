import { HeadLine } from "../protocol.ts";
import { AbortController, AbortSignal } from "./abort.ts";
import { Body, type Content, copyContent, extractBody, setContent, takeContent } from "./body.ts";
import { type Head, headHeaders, headLine } from "./head.ts";
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

/** One object, not fields: each private field costs as much to make as all of this. */
interface State {
  /** Of the invocation's own request: what has not been asked for yet is in it. */
  head: Head | null;
  method: string | null;
  url: string | null;
  headers: Headers | null;
  signal: AbortSignal | null;
  redirect: Redirect;
  settings: Settings;
}

const newState = (head: Head | null): State => ({
  head,
  method: null,
  url: null,
  headers: null,
  signal: null,
  redirect: "follow",
  settings: defaults,
});

export class Request extends Body {
  readonly #state: State;

  constructor(input: unknown, init?: RequestInit | Head | null, content: Content = null) {
    super(content);
    if (input === incoming) {
      this.#state = newState(init as Head);
      return;
    }
    const state = newState(null);
    this.#state = state;
    // biome-ignore lint/complexity/noArguments: how many there are is what the standard asks for
    if (arguments.length === 0) throw new TypeError("A request needs a URL");
    const base = input instanceof Request ? input : null;
    state.url = base ? base.url : parseUrl(input);
    state.method = base ? base.method : "GET";
    if (base) {
      state.redirect = base.#state.redirect;
      state.settings = base.#state.settings;
    }
    let body: unknown;
    let headers: HeadersInit | undefined = base?.headers;
    let signal: AbortSignal | null = base ? base.signal : null;
    if (init !== undefined && init !== null) {
      const given = init as RequestInit;
      if (typeof given !== "object" && typeof given !== "function")
        throw new TypeError("A request's second argument is an object");
      state.settings = readSettings(given, state.settings);
      state.redirect = choose(given, "redirect", state.redirect) as Redirect;
      if (given.method !== undefined) state.method = checkMethod(`${given.method}`);
      if (given.signal !== undefined) {
        if (given.signal !== null && !(given.signal instanceof AbortSignal))
          throw new TypeError("signal is not an AbortSignal");
        signal = given.signal;
      }
      if (given.headers !== undefined) headers = given.headers;
      body = given.body;
    }
    if (state.settings.mode === "no-cors" && !/^(GET|HEAD|POST)$/.test(state.method))
      throw new TypeError(`A request of mode "no-cors" cannot have the method ${state.method}`);
    if (signal !== null) state.signal = AbortSignal.any([signal]);
    if (headers !== undefined) state.headers = new Headers(headers);
    const hasBody = body !== undefined && body !== null;
    if ((hasBody || (base && base.body !== null)) && (state.method === "GET" || state.method === "HEAD"))
      throw new TypeError(`A ${state.method} request cannot have a body`);
    const { content: own, type: contentType } = extractBody(body);
    if (isStream(own) && state.settings.keepalive)
      throw new TypeError("A request with keepalive cannot have a stream as its body");
    if (contentType !== null && !this.headers.has("content-type"))
      this.headers.set("content-type", contentType);
    if (hasBody) setContent(this, own);
    else if (base) setContent(this, takeContent(base));
  }

  get method(): string {
    const state = this.#state;
    state.method ??= headLine(state.head!, HeadLine.method);
    return state.method;
  }
  get url(): string {
    const state = this.#state;
    state.url ??= headLine(state.head!, HeadLine.url);
    return state.url;
  }
  get headers(): Headers {
    const state = this.#state;
    state.headers ??= headersOf(state.head === null ? [] : headHeaders(state.head));
    return state.headers;
  }
  get signal(): AbortSignal {
    if (this.#state.signal === null) {
      const controller = new AbortController();
      if (this.#state.head !== null) onAbort((reason) => controller.abort(reason));
      this.#state.signal = controller.signal;
    }
    return this.#state.signal;
  }
  get redirect(): Redirect {
    return this.#state.redirect;
  }
  get mode(): string {
    return this.#state.settings.mode;
  }
  get credentials(): string {
    return this.#state.settings.credentials;
  }
  get cache(): string {
    return this.#state.settings.cache;
  }
  get referrer(): string {
    return this.#state.settings.referrer;
  }
  get referrerPolicy(): string {
    return this.#state.settings.referrerPolicy;
  }
  get integrity(): string {
    return this.#state.settings.integrity;
  }
  get keepalive(): boolean {
    return this.#state.settings.keepalive;
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
    const copy = new Request(this.url, { signal: this.signal, headers: this.headers });
    copy.#state.method = this.method;
    copy.#state.redirect = this.#state.redirect;
    copy.#state.settings = this.#state.settings;
    setContent(copy, content);
    return copy;
  }
}

export function incomingRequest(head: Head, content: Content): Request {
  return new Request(incoming, head, content);
}
