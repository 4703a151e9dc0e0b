import { HeadLine } from "../protocol.ts";
import type { Content } from "./body.ts";
import type { Context } from "./context.ts";
import { Event } from "./events.ts";
import { type Head, headLine } from "./head.ts";
import { sendEmpty } from "./invocation.ts";
import { decodeText, parseJson, then } from "./primordials.ts";
import type { Request } from "./request.ts";
import { Response } from "./response.ts";
import { isStream, readAll } from "./stream.ts";
import { env } from "./variables.ts";

/** Answers one request; the value it returns (or promises) is turned into a response. */
export type Entry = (context: Context, body: Content, head: Head) => unknown;
type RequestHandler = (request: Request, context: Context) => unknown;
type Namespace = Record<string, unknown>;

/** A handler's result that says that the answer has been sent. */
export const sent = Symbol();

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const noEntry =
  "This module has nothing that can be called. Export one of: a default object with fetch(request, env, ctx), " +
  "a default function (request, ctx), a function handler(body, ctx), or functions named GET, POST, …; " +
  "or call Deno.serve(handler) in top-level code.";

let served: RequestHandler | undefined;
let registered = false;
const fetchListeners: ((event: FetchEvent) => unknown)[] = [];

const isFunction = (value: unknown): value is RequestHandler => typeof value === "function";

/** Deno.serve(handler), Deno.serve(options, handler) and Deno.serve({ handler | fetch }): nothing listens here. */
export function captureServe(...args: unknown[]): object {
  if (registered) throw new Error("Deno.serve must be called in top-level code");
  if (served) throw new Error("Deno.serve was called more than once");
  const options = args.find((arg) => typeof arg === "object" && arg !== null) as Namespace | undefined;
  const handler = args.find(isFunction) ?? options?.handler ?? options?.fetch;
  if (!isFunction(handler)) throw new TypeError("Deno.serve needs a handler function");
  served = handler;
  const nothing = () => server;
  const server: object = {
    addr: { transport: "tcp", hostname: "127.0.0.1", port: 0 },
    finished: new Promise(() => {}),
    shutdown: () => Promise.resolve(),
    ref: nothing,
    unref: nothing,
  };
  return server;
}

export function addFetchListener(type: string, listener: (event: FetchEvent) => unknown): void {
  if (type === "fetch" && isFunction(listener)) fetchListeners.push(listener);
}

class FetchEvent extends Event {
  readonly request: Request;
  readonly #context: Context;
  response: unknown;
  constructor(context: Context) {
    super("fetch");
    this.request = context.request;
    this.#context = context;
  }
  respondWith(response: unknown): void {
    this.response = response;
  }
  waitUntil(work: unknown): void {
    this.#context.waitUntil(work);
  }
}

/**
 * Finds what to call. In this order: a default object with fetch, a default function, `handler`, functions named
 * after methods, Deno.serve, a fetch event listener.
 */
export function findEntry(namespace: Namespace): Entry {
  registered = true;
  const { default: main, handler } = namespace;
  if (
    main !== null &&
    (typeof main === "object" || isFunction(main)) &&
    isFunction((main as Namespace).fetch)
  ) {
    const target = main as { fetch(request: Request, variables: object, context: Context): unknown };
    return (context) => target.fetch(context.request, env, context);
  }
  if (isFunction(main)) return (context) => main(context.request, context);
  if (isFunction(handler)) return eventEntry(handler as never);
  const byMethod = Object.fromEntries(
    methods.map((name) => [name, namespace[name]]).filter(([, f]) => isFunction(f)),
  );
  if (Object.keys(byMethod).length > 0) return methodEntry(byMethod);
  if (served) {
    const handle = served;
    return (context) => handle(context.request, context);
  }
  if (fetchListeners.length > 0) return fetchEventEntry;
  throw new TypeError(noEntry);
}

function eventEntry(handler: (body: unknown, context: Context) => unknown): Entry {
  const answer = (text: string, context: Context): unknown => {
    if (text === "") return handler(undefined, context);
    let body: unknown;
    try {
      body = parseJson(text);
    } catch (error) {
      const message = `The request body is not valid JSON: ${(error as Error).message}`;
      const { requestId } = context;
      return Response.json({ error: { code: "invalid_input", message, requestId } }, { status: 400 });
    }
    return handler(body, context);
  };
  return (context, body) => {
    if (isStream(body)) return then(readAll(body), (bytes) => answer(decodeText(bytes), context));
    return answer(typeof body === "string" ? body : body === null ? "" : decodeText(body), context);
  };
}

function methodEntry(byMethod: Record<string, RequestHandler>): Entry {
  const allowed = new Set([...Object.keys(byMethod), "OPTIONS"]);
  if (byMethod.GET) allowed.add("HEAD");
  const allow = methods.filter((name) => allowed.has(name)).join(", ");
  return (context, _body, head) => {
    const method = headLine(head, HeadLine.method);
    const handle = byMethod[method] ?? (method === "HEAD" ? byMethod.GET : undefined);
    if (handle) return handle(context.request, context);
    sendEmpty(method === "OPTIONS" ? 204 : 405, [["allow", allow]]);
    return sent;
  };
}

function fetchEventEntry(context: Context): unknown {
  const event = new FetchEvent(context);
  for (const listener of fetchListeners) listener(event);
  if (event.response === undefined) throw new TypeError("No fetch event listener called respondWith");
  return event.response;
}
