import type { FetchResponse, HeaderList } from "../protocol.ts";
import { Body, type Content, copyContent, extractBody, setContent } from "./body.ts";
import { freezeHeaders, Headers, headersOf } from "./headers.ts";
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

export class Response extends Body {
  #status = 200;
  #statusText = "";
  /** Headers as a list, until somebody asks for the object. */
  #list: HeaderList | null = null;
  #headers: Headers | null = null;
  #immutable = false;
  #type = "default";
  #url = "";
  #redirected = false;

  static {
    isOwnResponse = (response) => #status in response;
    headerListOf = (response) => (response.#headers ? [...response.#headers] : (response.#list ?? []));
  }

  constructor(body?: unknown, init?: ResponseInit | null) {
    super(null);
    if (init) this.#initialize(init);
    const [content, contentType] = extractBody(body);
    this.#setBody(content, contentType);
  }

  #initialize({ status = 200, statusText = "", headers }: ResponseInit): void {
    const code = Math.trunc(Number(status)) || 0;
    if (!(code >= 200 && code <= 599))
      throw new RangeError(`The status must be between 200 and 599, not ${status}`);
    this.#statusText = `${statusText}`;
    if (!reasonPhrase.test(this.#statusText))
      throw new TypeError("The status text has characters that it cannot have");
    this.#status = code;
    if (headers !== undefined) this.#headers = new Headers(headers);
  }

  #setBody(content: Content, contentType: string | null): void {
    if (content === null) return;
    if (isNullBodyStatus(this.#status))
      throw new TypeError(`A response with status ${this.#status} cannot have a body`);
    if (contentType !== null) {
      if (this.#headers === null) this.#list = [["content-type", contentType]];
      else if (!this.#headers.has("content-type")) this.#headers.set("content-type", contentType);
    }
    setContent(this, content);
  }

  get status(): number {
    return this.#status;
  }
  get ok(): boolean {
    return this.#status >= 200 && this.#status <= 299;
  }
  get statusText(): string {
    return this.#statusText;
  }
  get headers(): Headers {
    if (this.#headers === null) {
      this.#headers = headersOf(this.#list ?? []);
      if (this.#immutable) freezeHeaders(this.#headers);
    }
    return this.#headers;
  }
  get type(): string {
    return this.#type;
  }
  get url(): string {
    return this.#url;
  }
  get redirected(): boolean {
    return this.#redirected;
  }
  clone(): Response {
    const content = copyContent(this);
    const copy = new Response();
    copy.#list = headerListOf(this);
    copy.#immutable = this.#immutable;
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#type = this.#type;
    copy.#url = this.#url;
    copy.#redirected = this.#redirected;
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
    response.#status = Number(status);
    response.#list = [["location", href]];
    response.#immutable = true;
    return response;
  }
  static error(): Response {
    const response = new Response();
    response.#status = 0;
    response.#type = "error";
    response.#immutable = true;
    return response;
  }

  static {
    fetchedResponse = (head, content) => {
      const response = new Response();
      response.#status = head.status;
      response.#statusText = head.statusText;
      response.#list = head.headers;
      response.#immutable = true;
      response.#url = head.url;
      response.#redirected = head.redirected;
      response.#type = "basic";
      setContent(response, content);
      return response;
    };
  }
}
