import type { FetchRequest, FetchResponse, HeaderList } from "../protocol.ts";
import { Op } from "../protocol.ts";
import { type Content, takeContent } from "./body.ts";
import { cancel, start } from "./host.ts";
import { readOwnFile } from "./own-files.ts";
import { pump, release, sourceStream } from "./pipes.ts";
import { decodeText, parseJson, rejected, resolved, stringifyJson, then } from "./primordials.ts";
import { Request, type RequestInit, requestState } from "./request.ts";
import { fetchedResponse, type Response } from "./response.ts";
import { discard, isStream, wholeContent } from "./stream.ts";

export function fetch(input: unknown, init?: RequestInit): Promise<Response> {
  try {
    const request = new Request(input, init);
    if (request.url.startsWith("data:")) return resolved(dataResponse(request.url));
    if (request.url.startsWith("file:")) return resolved(fileResponse(request.url));
    const content = takeContent(requestState(request));
    return transfer(request, isStream(content) ? (wholeContent(content) ?? content) : content);
  } catch (error) {
    return rejected(error);
  }
}

function transfer(request: Request, content: Content): Promise<Response> {
  const { method, url, redirect, headers, signal } = request;
  const stream = isStream(content) ? content : null;
  if (signal.aborted) {
    if (stream) discard(stream, signal.reason);
    return rejected(signal.reason);
  }
  const message: FetchRequest = { method, url, headers: [...headers], redirect, hasBody: content !== null };
  if (stream) message.stream = true;
  const body = isStream(content) || content === null ? undefined : content;
  return new Promise((resolve, reject) => {
    let output: ReadableStreamDefaultController<Uint8Array> | undefined;
    const give = () => {
      cancel(id);
      release(id);
    };
    const onAbort = () => {
      give();
      reject(signal.reason);
      output?.error(signal.reason);
    };
    const id = start("fetch", Op.fetch, stringifyJson(message), body, (error, text, bytes) => {
      if (error) {
        signal.removeEventListener("abort", onAbort);
        reject(fetchError(error));
      } else {
        const head = parseJson(text) as FetchResponse;
        resolve(fetchedResponse(head, received(head, bytes)));
      }
    });
    signal.addEventListener("abort", onAbort, { once: true });
    if (stream) {
      // what the server makes of a body that broke off is its answer
      then(pump(stream, id), undefined as never, (error) => {
        if ((error as Error)?.name === "AbortError") return;
        give();
        reject(error);
      });
    }
    function received(head: FetchResponse, bytes: Uint8Array): Content {
      if (head.hasBody === false) return null;
      if (!head.stream) return bytes as Uint8Array<ArrayBuffer>;
      return sourceStream(id, fetchError, (controller) => {
        output = controller as never;
      });
    }
  });
}

/** One of the function's own files. */
function fileResponse(url: string): Response {
  const bytes = readOwnFile(url);
  if (!bytes) throw new TypeError("fetch failed: the function has no such file");
  return fetchedResponse({ status: 200, statusText: "OK", headers: [], url, redirected: false }, bytes);
}

/** https://fetch.spec.whatwg.org/#data-url-processor */
function dataResponse(url: string): Response {
  const [all, meta = "", data = ""] = /^data:([^,#]*),([^#]*)/.exec(url) ?? [];
  if (all === undefined) throw new TypeError("fetch failed: the data URL has no comma");
  const base64 = /; *base64$/i.test(meta);
  const type = meta.replace(/; *base64$/i, "").trim();
  let bytes = Uint8Array.from(percentDecode(data), (character) => character.charCodeAt(0));
  if (base64) bytes = Uint8Array.from(atob(decodeText(bytes)), (character) => character.charCodeAt(0));
  const contentType =
    type === "" ? "text/plain;charset=US-ASCII" : type.startsWith(";") ? `text/plain${type}` : type;
  const headers: HeaderList = [["content-type", contentType]];
  return fetchedResponse({ status: 200, statusText: "OK", headers, url, redirected: false }, bytes);
}

/** A URL is ASCII, so each character becomes one byte. */
const percentDecode = (text: string): string =>
  text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** As in Node: a TypeError whose cause is the network's error; the code is on both. */
function fetchError(cause: Error & { code?: string }): TypeError {
  const error: TypeError & { code?: string } = new TypeError(`fetch failed: ${cause.message}`, { cause });
  if (cause.code !== undefined) error.code = cause.code;
  return error;
}
