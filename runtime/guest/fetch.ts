import type { FetchRequest } from "../protocol.ts";
import { Op } from "../protocol.ts";
import { takeContent, toBytes } from "./body.ts";
import { cancel, start } from "./host.ts";
import { rejected, stringifyJson, then } from "./primordials.ts";
import { Request, type RequestInit } from "./request.ts";
import { fetchedResponse, type Response } from "./response.ts";
import { ReadableStream, readAll } from "./stream.ts";

export function fetch(input: unknown, init?: RequestInit): Promise<Response> {
  try {
    const request = new Request(input, init);
    const content = takeContent(request);
    if (content instanceof ReadableStream)
      return then(readAll(content), (bytes) => transfer(request, bytes, true));
    return transfer(request, toBytes(content), content !== null);
  } catch (error) {
    return rejected(error);
  }
}

function transfer(request: Request, body: Uint8Array, hasBody: boolean): Promise<Response> {
  const { method, url, redirect, headers, signal } = request;
  if (signal.aborted) return rejected(signal.reason);
  const message: FetchRequest = { method, url, headers: [...headers], redirect, hasBody };
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      cancel(id);
      reject(signal.reason);
    };
    const id = start("fetch", Op.fetch, stringifyJson(message), body, (error, text, bytes) => {
      signal.removeEventListener("abort", onAbort);
      if (error) reject(fetchError(error));
      else resolve(fetchedResponse(text, bytes));
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** As in Node: a TypeError whose cause is the network's error; the code is on both. */
function fetchError(cause: Error & { code?: string }): TypeError {
  const error: TypeError & { code?: string } = new TypeError(`fetch failed: ${cause.message}`, { cause });
  if (cause.code !== undefined) error.code = cause.code;
  return error;
}
