import type { FetchResponse, HeaderList } from "../protocol.ts";
import { type Body, type BodyState, type Content, copyContent, extractBody, includeBody } from "./body.ts";
import { freezeHeaders, Headers, headerList, headersOf } from "./headers.ts";
import { jsonHeaders, textHeaders } from "./invocation.ts";
import { isArray, stringifyJson } from "./primordials.ts";

export interface ResponseInit {
  status?: number;
  statusText?: string;
  headers?: HeadersInit;
}

/** What few responses have that a function makes. */
interface Rest {
  statusText: string;
  immutable: boolean;
  type: string;
  url: string;
  redirected: boolean;
}
const noRest: Rest = { statusText: "", immutable: false, type: "default", url: "", redirected: false };

export interface ResponseState extends BodyState {
  status: number;
  /** A list until somebody asks for the object; null for none. */
  headers: Headers | HeaderList | null;
  rest?: Rest;
}

/** The state of one of ours, null for anything else, also for a package's class that only inherits from it. */
export let responseState: (value: unknown) => ResponseState | null;
/** The response to a fetch. */
export let fetchedResponse: (head: FetchResponse, content: Content) => Response;

const redirects = [301, 302, 303, 307, 308];
const isNullBodyStatus = (status: number) => status === 204 || status === 205 || status === 304;
/** reason-phrase of RFC 9112. */
const reasonPhrase = /^[\t\x20-\x7e\x80-\xff]*$/;

function initialize(state: ResponseState, init: ResponseInit): void {
  const { status, statusText, headers } = init;
  if (status !== undefined && status !== 200) {
    const code = Math.trunc(Number(status)) || 0;
    if (!(code >= 200 && code <= 599))
      throw new RangeError(`The status must be between 200 and 599, not ${status}`);
    state.status = code;
  }
  if (statusText !== undefined && statusText !== "") {
    const phrase = `${statusText}`;
    if (!reasonPhrase.test(phrase)) throw new TypeError("The status text has characters that it cannot have");
    state.rest = { ...noRest, statusText: phrase };
  }
  if (headers !== undefined) state.headers = new Headers(headers);
}

/** `headers` say what it is, unless there is such a header already. */
function setBody(state: ResponseState, content: Content, headers: HeaderList | null): void {
  if (isNullBodyStatus(state.status))
    throw new TypeError(`A response with status ${state.status} cannot have a body`);
  state.content = content;
  if (headers === null) return;
  const own = state.headers as Headers | null;
  if (own === null) state.headers = headers;
  else if (!own.has("content-type")) own.set("content-type", headers[0]![1]);
}

export interface Response extends Body {}

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the mixin's members are included
export class Response {
  readonly #state: ResponseState = { content: null, status: 200, headers: null };

  static {
    responseState = (value) =>
      typeof value === "object" && value !== null && #state in value ? value.#state : null;
    includeBody(Response.prototype, (response) => response.#state);
  }

  constructor(body?: unknown, init?: ResponseInit | null) {
    const state = this.#state;
    if (init !== undefined && init !== null) initialize(state, init);
    if (typeof body === "string") setBody(state, body.toWellFormed(), textHeaders);
    else if (body !== undefined && body !== null) {
      const { content, type } = extractBody(body);
      setBody(state, content, type === null ? null : [["content-type", type]]);
    }
  }

  get status(): number {
    return this.#state.status;
  }
  get ok(): boolean {
    return this.#state.status >= 200 && this.#state.status <= 299;
  }
  get statusText(): string {
    return this.#rest.statusText;
  }
  get headers(): Headers {
    const state = this.#state;
    const { headers } = state;
    if (headers !== null && !isArray(headers)) return headers;
    const made = headersOf(headers ?? []);
    if (this.#rest.immutable) freezeHeaders(made);
    state.headers = made;
    return made;
  }
  get type(): string {
    return this.#rest.type;
  }
  get url(): string {
    return this.#rest.url;
  }
  get redirected(): boolean {
    return this.#rest.redirected;
  }
  get #rest(): Rest {
    return this.#state.rest ?? noRest;
  }
  clone(): Response {
    const content = copyContent(this.#state);
    const { status, headers, rest } = this.#state;
    const copy = new Response();
    const state = copy.#state;
    state.content = content;
    state.status = status;
    state.headers = headers === null || isArray(headers) ? headers : headerList(headers);
    if (rest) state.rest = rest;
    return copy;
  }

  static json(data: unknown, init?: ResponseInit | null): Response {
    const text = stringifyJson(data);
    if (text === undefined) throw new TypeError("Response.json: the value cannot be written as JSON");
    const response = new Response();
    const state = response.#state;
    if (init !== undefined && init !== null) initialize(state, init);
    setBody(state, text, jsonHeaders);
    return response;
  }
  static redirect(url: string | URL, status = 302): Response {
    const { href } = new URL(url);
    if (!redirects.includes(Number(status))) throw new RangeError(`${status} is not a redirect status`);
    const response = new Response();
    const state = response.#state;
    state.status = Number(status);
    state.headers = [["location", href]];
    state.rest = { ...noRest, immutable: true };
    return response;
  }
  static error(): Response {
    const response = new Response();
    response.#state.status = 0;
    response.#state.rest = { ...noRest, type: "error", immutable: true };
    return response;
  }

  static {
    fetchedResponse = ({ status, statusText, headers, url, redirected }, content) => {
      const response = new Response();
      const state = response.#state;
      state.content = content;
      state.status = status;
      state.headers = headers;
      state.rest = { statusText, immutable: true, type: "basic", url, redirected };
      return response;
    };
  }
}
