import { Blob, blobBytes, bytesOf, isBufferSource } from "./blob.ts";
import { encodeMultipart, FormData, parseForm } from "./form-data.ts";
import { decodeText, encodeText, noBytes, parseJson, rejected, resolved, then } from "./primordials.ts";
import {
  isDisturbed,
  isStream,
  isTaken,
  type ReadableStream,
  readAll,
  streamLibrary,
  streamOf,
} from "./stream.ts";
import { URLSearchParams } from "./url.ts";

/** A body is kept as it came; nothing is encoded or decoded before someone asks. */
export type Content = string | Uint8Array<ArrayBuffer> | ReadableStream | null;

const NativeParams = Object.getPrototypeOf(URLSearchParams) as typeof globalThis.URLSearchParams;

/** A body's content, and the content type that it implies. An object: taking a list apart costs ten times as much. */
export interface Extracted {
  content: Content;
  type: string | null;
}

/** What a request or response keeps of its body. Properties that few have are left out: each costs time to make. */
export interface BodyState {
  content: Content;
  used?: boolean;
}

const textType = "text/plain;charset=UTF-8";

/** What a body argument means. */
export function extractBody(body: unknown): Extracted {
  if (typeof body === "string") return { content: body.toWellFormed(), type: textType };
  if (body === null || body === undefined) return { content: null, type: null };
  if (isStream(body)) {
    if (isTaken(body)) throw new TypeError("The body stream is locked or has been read");
    return { content: body, type: null };
  }
  if (isBufferSource(body)) return { content: bytesOf(body).slice(), type: null };
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

export function toText(content: Exclude<Content, ReadableStream>): string {
  return typeof content === "string" ? content : content === null ? "" : decodeText(content);
}

export function toBytes(content: Exclude<Content, ReadableStream>): Uint8Array<ArrayBuffer> {
  return typeof content === "string" ? encodeText(content) : (content ?? noBytes);
}

const isUsed = ({ content, used }: BodyState): boolean =>
  used === true || (isStream(content) && isDisturbed(content));

/** @throws TypeError when somebody else has taken it. */
export function takeContent(state: BodyState): Content {
  const { content } = state;
  if (content === null) return null;
  if (state.used === true || (isStream(content) && isTaken(content))) throw alreadyUsed();
  state.used = true;
  return content;
}

/** For a clone: what both have is theirs. */
export function copyContent(state: BodyState): Content {
  const { content } = state;
  if (state.used === true) throw alreadyUsed();
  if (!isStream(content)) return content;
  if (isTaken(content)) throw alreadyUsed();
  const [kept, copy] = content.tee();
  state.content = kept;
  return copied(copy);
}

function consume<T>(
  state: BodyState,
  convert: (content: Exclude<Content, ReadableStream>) => T,
): Promise<Awaited<T>> {
  const content = takeContent(state);
  return isStream(content) ? then(readAll(content), convert) : resolved(convert(content));
}

/** The standard's mixin of the same name. */
export interface Body {
  readonly body: ReadableStream | null;
  readonly bodyUsed: boolean;
  text(): Promise<string>;
  json(): Promise<unknown>;
  bytes(): Promise<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
  blob(): Promise<Blob>;
  formData(): Promise<FormData>;
}

/**
 * Gives a class the members of {@link Body}. A mixin, as in the standard, and no class of its own: a constructor that calls another one takes
 * twice as long. `stateOf` throws a TypeError for what is no object of that class.
 */
export function includeBody<Owner extends { headers: globalThis.Headers }>(
  prototype: Owner,
  stateOf: (owner: Owner) => BodyState,
): void {
  const convert = <T>(
    owner: Owner,
    to: (content: Exclude<Content, ReadableStream>) => T,
  ): Promise<Awaited<T>> => {
    try {
      return consume(stateOf(owner), to);
    } catch (error) {
      return rejected(error);
    }
  };
  const members: Body & ThisType<Owner> = {
    get body() {
      const state = stateOf(this);
      const { content } = state;
      if (content === null || isStream(content)) return content;
      const stream = streamOf(content);
      if (state.used === true) stream.getReader();
      state.content = stream;
      return stream;
    },
    get bodyUsed() {
      return isUsed(stateOf(this));
    },
    text() {
      return convert(this, toText);
    },
    json() {
      return convert(this, (content) => parseJson(toText(content)));
    },
    bytes() {
      return convert(this, (content) => (content === null ? new Uint8Array(0) : toBytes(content)));
    },
    arrayBuffer() {
      return convert(this, (content) => {
        const bytes = toBytes(content);
        return bytes.byteLength === bytes.buffer.byteLength && bytes !== noBytes
          ? bytes.buffer
          : bytes.slice().buffer;
      });
    },
    blob() {
      return convert(this, (content) => new Blob([toBytes(content)], { type: mimeType(this) }));
    },
    formData() {
      return convert(this, (content) => parseForm(toBytes(content), this.headers.get("content-type") ?? ""));
    },
  };
  Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(members));
}

/** The content type without its needless spaces, or nothing when it is none. */
function mimeType({ headers }: { headers: globalThis.Headers }): string {
  const [essence = "", ...parameters] = (headers.get("content-type") ?? "")
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
