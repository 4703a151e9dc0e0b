import type { FetchResponse, HeaderList } from "../protocol.ts";
import { Body, copyContent, extractBody, setContent } from "./body.ts";
import { parseJson, stringifyJson } from "./primordials.ts";

export interface ResponseInit {
  status?: number;
  statusText?: string;
  headers?: HeadersInit;
}

export let headerListOf: (response: Response) => HeaderList;
/** The response to a fetch. */
export let fetchedResponse: (text: string, bytes: Uint8Array) => Response;

export class Response extends Body {
  #status = 200;
  #statusText = "";
  /** Headers as a list, until somebody asks for the object. */
  #list: HeaderList | null = null;
  #headers: Headers | null = null;
  #type = "default";
  #url = "";
  #redirected = false;

  static {
    headerListOf = (response) => (response.#headers ? [...response.#headers] : (response.#list ?? []));
  }

  constructor(body?: unknown, init?: ResponseInit | null) {
    super(null);
    const [content, contentType] = extractBody(body);
    if (init) {
      const { status = 200, statusText = "", headers } = init;
      if (!(status >= 200 && status <= 599))
        throw new RangeError(`The status must be between 200 and 599, not ${status}`);
      if (content !== null && (status === 204 || status === 205 || status === 304)) {
        throw new TypeError(`A response with status ${status} cannot have a body`);
      }
      this.#status = Math.trunc(status);
      this.#statusText = `${statusText}`;
      if (headers) this.#headers = new Headers(headers);
    }
    if (contentType !== null) {
      if (this.#headers === null) this.#list = [["content-type", contentType]];
      else if (!this.#headers.has("content-type")) this.#headers.set("content-type", contentType);
    }
    if (content !== null) setContent(this, content);
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
    this.#headers ??= new Headers(this.#list ?? []);
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
    const copy = new Response(null, { statusText: this.#statusText, headers: this.headers });
    copy.#status = this.#status;
    copy.#type = this.#type;
    copy.#url = this.#url;
    copy.#redirected = this.#redirected;
    setContent(copy, content);
    return copy;
  }

  static json(data: unknown, init?: ResponseInit): Response {
    const text = stringifyJson(data);
    if (text === undefined) throw new TypeError("Response.json: the value cannot be written as JSON");
    const response = new Response(null, init);
    if (response.#headers === null) response.#list = [["content-type", "application/json"]];
    else if (!response.#headers.has("content-type"))
      response.#headers.set("content-type", "application/json");
    setContent(response, text);
    return response;
  }
  static redirect(url: string | URL, status = 302): Response {
    if (![301, 302, 303, 307, 308].includes(status))
      throw new RangeError(`${status} is not a redirect status`);
    return new Response(null, { status, headers: { location: new URL(url).href } });
  }
  static error(): Response {
    const response = new Response();
    response.#status = 0;
    response.#type = "error";
    return response;
  }

  static {
    fetchedResponse = (text, bytes) => {
      const head = parseJson(text) as FetchResponse;
      const response = new Response();
      response.#status = head.status;
      response.#statusText = head.statusText;
      response.#list = head.headers;
      response.#url = head.url;
      response.#redirected = head.redirected;
      response.#type = "basic";
      setContent(response, bytes.length === 0 ? null : (bytes as Uint8Array<ArrayBuffer>));
      return response;
    };
  }
}
