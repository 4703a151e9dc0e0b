import { Blob, blobBytes, bytesOf, isBufferSource } from "./blob.ts";
import { encodeMultipart, FormData, parseForm } from "./form-data.ts";
import { decodeText, encodeText, noBytes, parseJson, rejected, resolved, then } from "./primordials.ts";
import { isDisturbed, isStream, type ReadableStream, readAll, streamLibrary, streamOf } from "./stream.ts";
import { URLSearchParams } from "./url.ts";

/** A body is kept as it came; nothing is encoded or decoded before someone asks. */
export type Content = string | Uint8Array<ArrayBuffer> | ReadableStream | null;

const NativeParams = Object.getPrototypeOf(URLSearchParams) as typeof globalThis.URLSearchParams;

/** A body's content, and the content type that it implies. An object: taking a list apart costs ten times as much. */
export interface Extracted {
  content: Content;
  type: string | null;
}

const textType = "text/plain;charset=UTF-8";

/** What a body argument means. */
export function extractBody(body: unknown): Extracted {
  if (typeof body === "string") return { content: body.toWellFormed(), type: textType };
  if (body === null || body === undefined) return { content: null, type: null };
  if (isBufferSource(body)) return { content: bytesOf(body).slice(), type: null };
  if (isStream(body)) {
    if (body.locked || isDisturbed(body)) throw new TypeError("The body stream is locked or has been read");
    return { content: body, type: null };
  }
  if (body instanceof NativeParams)
    return { content: `${body}`, type: "application/x-www-form-urlencoded;charset=UTF-8" };
  if (body instanceof Blob) return { content: blobBytes(body), type: body.type || null };
  if (body instanceof FormData) {
    const [content, type] = encodeMultipart(body);
    return { content, type };
  }
  if (typeof body === "object" && Symbol.asyncIterator in body) {
    return { content: streamLibrary().ReadableStream.from(body as AsyncIterable<Uint8Array>), type: null };
  }
  return { content: `${body}`.toWellFormed(), type: textType };
}

export let takeContent: (body: Body) => Content;
export let copyContent: (body: Body) => Content;
export let setContent: (body: Body, content: Content) => void;

function toText(content: Exclude<Content, ReadableStream>): string {
  return typeof content === "string" ? content : content === null ? "" : decodeText(content);
}

export function toBytes(content: Exclude<Content, ReadableStream>): Uint8Array<ArrayBuffer> {
  return typeof content === "string" ? encodeText(content) : (content ?? noBytes);
}

/** What Request and Response share. */
export abstract class Body {
  #content: Content;
  #used = false;

  static {
    takeContent = (body) => body.#take();
    setContent = (body, content) => {
      body.#content = content;
    };
    copyContent = (body) => {
      const content = body.#content;
      if (body.bodyUsed || (isStream(content) && content.locked)) throw alreadyUsed();
      if (!isStream(content)) return content;
      const [kept, copy] = content.tee();
      body.#content = kept;
      return copied(copy);
    };
  }

  constructor(content: Content) {
    this.#content = content;
  }

  abstract get headers(): globalThis.Headers;

  #take(): Content {
    const content = this.#content;
    if (content === null) return null;
    if (this.#used || (isStream(content) && (content.locked || isDisturbed(content)))) throw alreadyUsed();
    this.#used = true;
    return content;
  }

  #consume<T>(convert: (content: Exclude<Content, ReadableStream>) => T): Promise<Awaited<T>> {
    try {
      const content = this.#take();
      if (isStream(content)) return then(readAll(content), convert);
      return resolved(convert(content));
    } catch (error) {
      return rejected(error);
    }
  }

  get body(): ReadableStream | null {
    const content = this.#content;
    if (content === null || isStream(content)) return content;
    const stream = streamOf(toBytes(content));
    if (this.#used) stream.getReader();
    this.#content = stream;
    return stream;
  }
  get bodyUsed(): boolean {
    return this.#used || (isStream(this.#content) && isDisturbed(this.#content));
  }
  text(): Promise<string> {
    return this.#consume(toText);
  }
  json(): Promise<unknown> {
    return this.#consume((content) => parseJson(toText(content)));
  }
  bytes(): Promise<Uint8Array> {
    return this.#consume((content) => (content === null ? new Uint8Array(0) : toBytes(content)));
  }
  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#consume((content) => {
      const bytes = toBytes(content);
      return bytes.byteLength === bytes.buffer.byteLength && bytes !== noBytes
        ? bytes.buffer
        : bytes.slice().buffer;
    });
  }
  blob(): Promise<Blob> {
    return this.#consume((content) => new Blob([toBytes(content)], { type: mimeType(this) }));
  }
  formData(): Promise<FormData> {
    return this.#consume((content) => parseForm(toBytes(content), this.headers.get("content-type") ?? ""));
  }
}

/** The content type without its needless spaces, or nothing when it is none. */
function mimeType(body: Body): string {
  const [essence = "", ...parameters] = (body.headers.get("content-type") ?? "")
    .split(";")
    .map((part) => part.trim());
  return /^[^\s/]+\/[^\s/]+$/.test(essence)
    ? [essence, ...parameters.filter((part) => part !== "")].join(";")
    : "";
}

/** Both sides of a clone have chunks of their own. A byte stream's are already. */
function copied(stream: ReadableStream): ReadableStream {
  const reader = stream.getReader();
  return new (streamLibrary().ReadableStream)(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(structuredClone(value));
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

function alreadyUsed(): TypeError {
  return new TypeError("The body has already been used");
}
