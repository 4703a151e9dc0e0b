import type { FetchResponse, HeaderList } from "../protocol.ts";
import { Body, type Content, copyContent, extractBody, setContent } from "./body.ts";
import { freezeHeaders, Headers, headersOf } from "./headers.ts";
import { jsonHeaders, textHeaders } from "./invocation.ts";
import { stringifyJson } from "./primordials.ts";

export interface ResponseInit {
  status?: number;
  statusText?: string;
  headers?: HeadersInit;
}

/** Whether it is one of ours, not of a package's class that only inherits from it. */
export let isOwnResponse: (response: Response) => boolean;
export let headerListOf: (response: Response) => HeaderList;
/** The response to a fetch. */
export let fetchedResponse: (head: FetchResponse, content: Content) => Response;

const redirects = [301, 302, 303, 307, 308];
const isNullBodyStatus = (status: number) => status === 204 || status === 205 || status === 304;
/** reason-phrase of RFC 9112. */
const reasonPhrase = /^[\t\x20-\x7e\x80-\xff]*$/;

/** One object, not fields: each private field costs as much to make as all of this. */
interface State {
  status: number;
  statusText: string;
  /** Headers as a list, until somebody asks for the object. */
  list: HeaderList | null;
  headers: Headers | null;
  immutable: boolean;
  type: string;
  url: string;
  redirected: boolean;
}

const newState = (): State => ({
  status: 200,
  statusText: "",
  list: null,
  headers: null,
  immutable: false,
  type: "default",
  url: "",
  redirected: false,
});

function headersOfType(type: string): HeaderList {
  if (type === "application/json") return jsonHeaders;
  return type === textHeaders[0]![1] ? textHeaders : [["content-type", type]];
}

export class Response extends Body {
  readonly #state = newState();

  static {
    isOwnResponse = (response) => #state in response;
    headerListOf = (response) => {
      const { headers, list } = response.#state;
      return headers ? [...headers] : (list ?? []);
    };
  }

  constructor(body?: unknown, init?: ResponseInit | null) {
    super(null);
    if (init) this.#initialize(init);
    if (body === undefined || body === null) return;
    const { content, type } = extractBody(body);
    this.#setBody(content, type);
  }

  #initialize({ status = 200, statusText = "", headers }: ResponseInit): void {
    const code = Math.trunc(Number(status)) || 0;
    if (!(code >= 200 && code <= 599))
      throw new RangeError(`The status must be between 200 and 599, not ${status}`);
    const state = this.#state;
    if (statusText !== "") {
      state.statusText = `${statusText}`;
      if (!reasonPhrase.test(state.statusText))
        throw new TypeError("The status text has characters that it cannot have");
    }
    state.status = code;
    if (headers !== undefined) state.headers = new Headers(headers);
  }

  #setBody(content: Content, contentType: string | null): void {
    if (content === null) return;
    const state = this.#state;
    if (isNullBodyStatus(state.status))
      throw new TypeError(`A response with status ${state.status} cannot have a body`);
    if (contentType !== null) {
      if (state.headers === null) state.list = headersOfType(contentType);
      else if (!state.headers.has("content-type")) state.headers.set("content-type", contentType);
    }
    setContent(this, content);
  }

  get status(): number {
    return this.#state.status;
  }
  get ok(): boolean {
    return this.#state.status >= 200 && this.#state.status <= 299;
  }
  get statusText(): string {
    return this.#state.statusText;
  }
  get headers(): Headers {
    if (this.#state.headers === null) {
      this.#state.headers = headersOf(this.#state.list ?? []);
      if (this.#state.immutable) freezeHeaders(this.#state.headers);
    }
    return this.#state.headers;
  }
  get type(): string {
    return this.#state.type;
  }
  get url(): string {
    return this.#state.url;
  }
  get redirected(): boolean {
    return this.#state.redirected;
  }
  clone(): Response {
    const content = copyContent(this);
    const copy = new Response();
    copy.#state.list = headerListOf(this);
    copy.#state.immutable = this.#state.immutable;
    copy.#state.status = this.#state.status;
    copy.#state.statusText = this.#state.statusText;
    copy.#state.type = this.#state.type;
    copy.#state.url = this.#state.url;
    copy.#state.redirected = this.#state.redirected;
    setContent(copy, content);
    return copy;
  }

  static json(data: unknown, init?: ResponseInit | null): Response {
    const text = stringifyJson(data);
    if (text === undefined) throw new TypeError("Response.json: the value cannot be written as JSON");
    const response = new Response();
    if (init) response.#initialize(init);
    response.#setBody(text, "application/json");
    return response;
  }
  static redirect(url: string | URL, status = 302): Response {
    const { href } = new URL(url);
    if (!redirects.includes(Number(status))) throw new RangeError(`${status} is not a redirect status`);
    const response = new Response();
    response.#state.status = Number(status);
    response.#state.list = [["location", href]];
    response.#state.immutable = true;
    return response;
  }
  static error(): Response {
    const response = new Response();
    response.#state.status = 0;
    response.#state.type = "error";
    response.#state.immutable = true;
    return response;
  }

  static {
    fetchedResponse = (head, content) => {
      const response = new Response();
      response.#state.status = head.status;
      response.#state.statusText = head.statusText;
      response.#state.list = head.headers;
      response.#state.immutable = true;
      response.#state.url = head.url;
      response.#state.redirected = head.redirected;
      response.#state.type = "basic";
      setContent(response, content);
      return response;
    };
  }
}
