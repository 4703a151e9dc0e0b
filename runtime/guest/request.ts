import { HeadLine } from "../protocol.ts";
import { AbortController, AbortSignal } from "./abort.ts";
import { type Body, copyContent, extractBody, includeBody, takeContent } from "./body.ts";
import { headHeaders, headLine, type Incoming } from "./head.ts";
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

/** What a request has that the function made. */
interface Made {
  method: string;
  url: string;
  redirect: Redirect;
  settings: Settings;
}

interface RequestState extends Incoming {
  headers?: Headers;
  signal?: AbortSignal;
  /** Absent: the invocation's own request. */
  made?: Made;
}

export let requestState: (request: Request) => RequestState;

export interface Request extends Body {}

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the mixin's members are included
export class Request {
  readonly #state: RequestState;

  static {
    requestState = (request) => request.#state;
    includeBody(Request.prototype, requestState);
  }

  constructor(input: unknown, init?: RequestInit | Incoming | null) {
    if (input === incoming) {
      this.#state = init as Incoming;
      return;
    }
    // biome-ignore lint/complexity/noArguments: how many there are is what the standard asks for
    if (arguments.length === 0) throw new TypeError("A request needs a URL");
    const base = input instanceof Request ? input : null;
    const made: Made = {
      url: base ? base.url : parseUrl(input),
      method: base ? base.method : "GET",
      redirect: base ? base.redirect : "follow",
      settings: base ? base.#settings : defaults,
    };
    const state: RequestState = { content: null, text: "", lines: null, made };
    this.#state = state;
    let body: unknown;
    let headers: HeadersInit | undefined = base?.headers;
    let signal: AbortSignal | null = base ? base.signal : null;
    if (init !== undefined && init !== null) {
      const given = init as RequestInit;
      if (typeof given !== "object" && typeof given !== "function")
        throw new TypeError("A request's second argument is an object");
      made.settings = readSettings(given, made.settings);
      made.redirect = choose(given, "redirect", made.redirect) as Redirect;
      if (given.method !== undefined) made.method = checkMethod(`${given.method}`);
      if (given.signal !== undefined) {
        if (given.signal !== null && !(given.signal instanceof AbortSignal))
          throw new TypeError("signal is not an AbortSignal");
        signal = given.signal;
      }
      if (given.headers !== undefined) headers = given.headers;
      body = given.body;
    }
    const { method } = made;
    if (made.settings.mode === "no-cors" && !/^(GET|HEAD|POST)$/.test(method))
      throw new TypeError(`A request of mode "no-cors" cannot have the method ${method}`);
    if (signal !== null) state.signal = AbortSignal.any([signal]);
    if (headers !== undefined) state.headers = new Headers(headers);
    const hasBody = body !== undefined && body !== null;
    if ((hasBody || (base && base.#state.content !== null)) && (method === "GET" || method === "HEAD"))
      throw new TypeError(`A ${method} request cannot have a body`);
    const { content, type } = extractBody(body);
    if (isStream(content) && made.settings.keepalive)
      throw new TypeError("A request with keepalive cannot have a stream as its body");
    if (type !== null && !this.headers.has("content-type")) this.headers.set("content-type", type);
    if (hasBody) state.content = content;
    else if (base) state.content = takeContent(base.#state);
  }

  get method(): string {
    const state = this.#state;
    return state.made === undefined ? headLine(state, HeadLine.method) : state.made.method;
  }
  get url(): string {
    const state = this.#state;
    return state.made === undefined ? headLine(state, HeadLine.url) : state.made.url;
  }
  get headers(): Headers {
    const state = this.#state;
    state.headers ??= headersOf(state.made === undefined ? headHeaders(state) : []);
    return state.headers;
  }
  get signal(): AbortSignal {
    const state = this.#state;
    if (state.signal === undefined) {
      const controller = new AbortController();
      if (state.made === undefined) onAbort((reason) => controller.abort(reason));
      state.signal = controller.signal;
    }
    return state.signal;
  }
  get #settings(): Settings {
    return this.#state.made?.settings ?? defaults;
  }
  get redirect(): Redirect {
    return this.#state.made?.redirect ?? "follow";
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
    const content = copyContent(this.#state);
    const copy = new Request(this.url, { signal: this.signal, headers: this.headers });
    const state = copy.#state;
    state.content = content;
    Object.assign(state.made!, {
      method: this.method,
      redirect: this.redirect,
      settings: this.#settings,
    } satisfies Partial<Made>);
    return copy;
  }
}

export const incomingRequest = (head: Incoming): Request => new Request(incoming, head);
