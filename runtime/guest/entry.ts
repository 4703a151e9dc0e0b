import { HeadLine } from "../protocol.ts";
import { type Content, toText } from "./body.ts";
import type { Context } from "./context.ts";
import { Event } from "./events.ts";
import { headLine, type Incoming } from "./head.ts";
import { sendEmpty } from "./invocation.ts";
import { decodeText, parseJson, then } from "./primordials.ts";
import type { Request } from "./request.ts";
import { Response } from "./response.ts";
import { isStream, readAll } from "./stream.ts";
import { env } from "./variables.ts";

/** Answers one request; the value it returns (or promises) is turned into a response. */
export type Entry = (context: Context, incoming: Incoming) => unknown;
type RequestHandler = (request: Request, context: Context, body?: Content) => unknown;
type Namespace = Record<string, unknown>;

/** A handler's result that says that the answer has been sent. */
export const sent = Symbol();

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const noEntry =
  "This module has nothing that can be called. Export one of: a default object with fetch(request, env, ctx), " +
  "a default function (request, ctx), a function handler(body, ctx), or functions named GET, POST, …; " +
  "or call Deno.serve(handler), or listen() of a node:http server, in top-level code.";

let served: RequestHandler | undefined;
let built = false;
const fetchListeners: ((event: FetchEvent) => unknown)[] = [];

const isFunction = (value: unknown): value is RequestHandler => typeof value === "function";

/** Deno.serve(handler), Deno.serve(options, handler) and Deno.serve({ handler | fetch }): nothing listens here. */
export function captureServe(...args: unknown[]): object {
  const options = args.find((arg) => typeof arg === "object" && arg !== null) as Namespace | undefined;
  const handler = args.find(isFunction) ?? options?.handler ?? options?.fetch;
  if (!isFunction(handler)) throw new TypeError("Deno.serve needs a handler function");
  captureServer("Deno.serve", handler);
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

/** What is to answer requests: `what` made it listen. */
export function captureServer(what: string, handler: RequestHandler): void {
  if (built) throw new Error(`${what} must be called in top-level code`);
  if (served) throw new Error(`${what} was called, but something listens already: a function has one server`);
  served = handler;
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
 * Finds what to call, once top-level code has run. In this order: a default object with fetch, a default application that can listen,
 * a default function, `handler`, functions named after methods, `onRequest`, a server that listens, a fetch event listener.
 */
export function findEntry(namespace: Namespace): Entry {
  const { default: main, handler, onRequest } = namespace;
  if (hasMethod(main, "fetch")) return (context) => main.fetch(context.request, env, context);
  built = true;
  if (isFunction(main) && !hasMethod(main, "listen")) return (context) => main(context.request, context);
  if (isFunction(handler)) return eventEntry(handler as never);
  const byMethod = functionsByMethod(namespace, "");
  if (Object.keys(byMethod).length > 0) return methodEntry(byMethod);
  if (isFunction(onRequest)) return (context) => onRequest(pagesContext(context) as never, context);
  const byPagesMethod = functionsByMethod(namespace, "onRequest");
  if (Object.keys(byPagesMethod).length > 0) {
    const ofContext = Object.entries(byPagesMethod).map(([name, f]) => [
      name,
      (_: Request, context: Context) => f(pagesContext(context) as never, context),
    ]);
    return methodEntry(Object.fromEntries(ofContext));
  }
  if (served) {
    const handle = served;
    return (context, { content }) => handle(context.request, context, content);
  }
  if (fetchListeners.length > 0) return fetchEventEntry;
  throw new TypeError(noEntry);
}

/** Applications of Node's frameworks are functions too, but not of a Request: one that is exported is made to listen. */
export function listenIfExported({ default: main }: Namespace): void {
  if (!served && hasMethod(main, "listen") && !hasMethod(main, "fetch")) main.listen(0);
}

/** What Cloudflare's Pages give to `onRequest`. */
function pagesContext(context: Context): object {
  return {
    request: context.request,
    env,
    params: {},
    data: {},
    functionPath: "",
    waitUntil: (work: unknown) => context.waitUntil(work),
    passThroughOnException: () => {},
    next: async () => new Response("Not Found", { status: 404 }),
  };
}

function hasMethod<N extends string>(
  value: unknown,
  name: N,
): value is Record<N, (...args: unknown[]) => unknown> {
  return (
    value !== null &&
    (typeof value === "object" || isFunction(value)) &&
    isFunction((value as Namespace)[name])
  );
}

/** `GET`, or with a prefix `onRequestGet`. */
function functionsByMethod(namespace: Namespace, prefix: string): Record<string, RequestHandler> {
  const name = (method: string) =>
    prefix === "" ? method : prefix + method[0] + method.slice(1).toLowerCase();
  return Object.fromEntries(
    methods.map((method) => [method, namespace[name(method)]]).filter(([, f]) => isFunction(f)),
  );
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
  return (context, { content }) => {
    if (isStream(content)) return then(readAll(content), (bytes) => answer(decodeText(bytes), context));
    return answer(toText(content), context);
  };
}

function methodEntry(byMethod: Record<string, RequestHandler>): Entry {
  const allowed = new Set([...Object.keys(byMethod), "OPTIONS"]);
  if (byMethod.GET) allowed.add("HEAD");
  const allow = methods.filter((name) => allowed.has(name)).join(", ");
  return (context, incoming) => {
    const method = headLine(incoming, HeadLine.method);
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
