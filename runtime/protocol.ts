/**
 * What host and guest say to each other.
 *
 * The guest has one native function, `host(op, text?, bytes?) → int32`. It returns at once: with a result
 * that fits an integer, or with the number of an operation whose completion is delivered later. The host has one
 * way in: it calls the guest's dispatcher, `dispatch(event, id, text, bytes)`, from the top level only, and then
 * drains the microtask queue. Nothing ever re-enters a running guest.
 *
 * `text` is JSON unless stated; `bytes` is a Uint8Array.
 */

/** Guest → host. */
export const Op = {
  /** The response. text: {@link ResponseHead}, bytes: the body. Returns 0. */
  respond: 1,
  /** The handler failed, no response will come. text: {@link GuestError}. Returns 0. */
  fail: 2,
  /** A line for the function's log. text: {@link LogLine}. Returns 0. */
  log: 3,
  /** Fill `bytes` with random bytes, in place. Returns 0, or -1 while an image is being built. */
  random: 4,
  /** Start a timer. text: the delay in ms as a decimal string. Returns the operation number; completes with nothing. */
  timer: 5,
  /** Send an HTTP request. text: {@link FetchRequest}, bytes: the body. Completes with {@link FetchResponse} + body bytes. */
  fetch: 6,
  /** Run one SQL statement. text: {@link QueryRequest}. Completes with {@link QueryResponse}. */
  query: 7,
  /** Cancel an operation (clearTimeout, an aborted fetch). text: its number. No completion follows. Returns 0. */
  cancel: 8,
  /** Everything given to `ctx.waitUntil` has settled after a response with `more: true`. Returns 0. */
  done: 9,
  /** Wall-clock time of the current event, in ms since the epoch: `bytes` (8 long) receives it as a float64, little-endian. Returns 0. */
  now: 10,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

/**
 * Operations that start something return a number > 0, or one of these when the host refuses at once.
 * The guest turns them into errors.
 */
export const Refused = {
  /** Not while the image is built (top-level code): no network, database, timers or randomness there. */
  building: -1,
  /** Too many operations under way or in total for this invocation. */
  tooMany: -2,
  /** The request is larger than the host takes. */
  tooLarge: -3,
} as const;

/** Host → guest. */
export const Event = {
  /** text: {@link RequestHead}, bytes: the body (zero-length when there is none). */
  request: 1,
  /** Operation `id` succeeded; text and bytes as the operation says ("" and empty when it says nothing). */
  complete: 2,
  /** Operation `id` failed. text: {@link GuestError}. */
  reject: 3,
  /** The client went away or the invocation is ending: fire the request's AbortSignal. */
  abort: 4,
} as const;
export type Event = (typeof Event)[keyof typeof Event];

export type HeaderList = [name: string, value: string][];

export interface RequestHead {
  method: string;
  /** Absolute URL as the function sees it. */
  url: string;
  headers: HeaderList;
  /** Variables and secrets of the function and the limits (`FUNCTION_TIMEOUT_MS`, …). */
  env: Record<string, string>;
  context: { requestId: string; functionName: string; version: number };
}

export interface ResponseHead {
  status: number;
  statusText?: string;
  headers: HeaderList;
  /** True when `ctx.waitUntil` holds promises that are still pending: the invocation goes on until {@link Op.done}. */
  more?: boolean;
}

export interface GuestError {
  name: string;
  message: string;
  /** Engine stack, positions in the bundle. */
  stack?: string;
  /** A literal code, for errors made by the host (`egress_denied`, `db_query_timeout`, …) or by the guest library (`invalid_response`). */
  code?: string;
}

export interface LogLine {
  level: "debug" | "info" | "warn" | "error";
  message: string;
}

export interface FetchRequest {
  method: string;
  url: string;
  headers: HeaderList;
  redirect: "follow" | "manual" | "error";
  hasBody: boolean;
}

export interface FetchResponse {
  status: number;
  statusText: string;
  headers: HeaderList;
  url: string;
  redirected: boolean;
}

export interface QueryRequest {
  text: string;
  params: QueryParam[];
}

/** Parameters as JSON can carry them; bytes and dates are tagged. */
export type QueryParam =
  | null
  | boolean
  | number
  | string
  | { $bytes: string }
  | { $date: string }
  | { $bigint: string }
  | QueryParam[];

export interface QueryResponse {
  columns: { name: string; type: number }[];
  /** One array per row, values in column order, tagged as {@link QueryParam}; json columns arrive parsed as `{ $json: … }`. */
  rows: unknown[][];
  /** Rows affected or returned. */
  count: number;
  /** SELECT, INSERT, … */
  command: string;
}
