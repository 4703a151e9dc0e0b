/**
 * What host and guest say to each other.
 *
 * The guest has one native function, `host(op, text?, bytes?) → int32`. It returns at once: with a result
 * that fits an integer, or with the number of an operation whose completion is delivered later. The host has one
 * way in: it calls the guest's dispatcher, `dispatch(event, id, text, bytes)`, from the top level only, and then
 * drains the microtask queue. Nothing ever re-enters a running guest.
 *
 * `text` is JSON unless stated; `bytes` is a Uint8Array, or a string that stands for its UTF-8. The dispatcher gets null for no bytes.
 */

/** Guest → host. */
export const Op = {
  /** The response. text: {@link ResponseHead} in lines, see {@link responseHeadLines}; bytes: the body, unless it comes by {@link Op.write}. Returns 0. */
  respond: 1,
  /** The handler failed: no response will come, or no more of its body. text: {@link GuestError}. Returns 0. */
  fail: 2,
  /** A line for the function's log. text: {@link LogLine}. Returns 0. */
  log: 3,
  /** Fill `bytes` with random bytes, in place. Returns 0, or -1 while an image is being built. */
  random: 4,
  /** Start a timer. text: the delay in ms as a decimal string. Returns the operation number; completes with nothing. */
  timer: 5,
  /**
   * Send an HTTP request. text: {@link FetchRequest}, bytes: the body, unless it comes by {@link Op.write}. Completes with
   * {@link FetchResponse}; its body is then the source of the operation's number.
   */
  fetch: 6,
  /** Run one SQL statement. text: {@link QueryLine}. Completes with {@link ResultLine}. */
  query: 7,
  /**
   * Cancel an operation (clearTimeout, an aborted fetch), and the source and the sink of its number. text: the number.
   * No completion follows. Returns 0.
   */
  cancel: 8,
  /** Everything given to `ctx.waitUntil` has settled after a response with `more: true`. Returns 0. */
  done: 9,
  /** Wall-clock time of the current event, in ms since the epoch: `bytes` (8 long) receives it as a float64, little-endian. Returns 0. */
  now: 10,
  /**
   * The next bytes of a source. text: its number: 0 is the request's body, others are operations'. Completes with them,
   * or with the text "end". One at a time for each source.
   */
  read: 11,
  /**
   * Bytes for a sink. text: its number: 0 is the response's body, others are operations'; at most {@link maxChunkBytes}.
   * Completes when the sink takes more. One at a time for each sink.
   */
  write: 12,
  /** A sink has got everything. text: its number. Returns 0. */
  close: 13,
  /** Completes with nothing as soon as the microtask queue is empty. */
  turn: 14,
  /** Compress or decompress. text: {@link TranscodeRequest}. The operation's number is that of a sink and of a source; it never completes. */
  transcode: 15,
  /** A call of `crypto.subtle`. text: {@link CryptoCall}, bytes: its payload. Completes with the value and its payload, tagged alike. */
  crypto: 16,
  /**
   * Decode text of an encoding other than UTF-8. text: {@link DecodeRequest}, bytes: the input, and behind it room for the result, which
   * is written over it as UTF-8. Returns its length, or -1 for malformed input that is to be an error.
   */
  decode: 17,
  /** Offers a part of the guest library to the native `load`. text: its index. Returns the length of its bytecode. */
  load: 18,
  /** Gives back a reserved database connection. text: the number of its lease. Returns 0. */
  release: 19,
  /**
   * A call whose result the guest waits for. text: {@link HostCall}, bytes: its payload. Returns the length of the result, which
   * {@link Op.take} brings; {@link CallState.failed} − the length of a {@link GuestError}; or {@link CallState.pending}: then the guest is
   * suspended until there is a result, and asks for its length by {@link Op.result}. Some calls can be made while an image is built, others return
   * {@link Refused.building}.
   */
  call: 20,
  /** What {@link Op.call} would have returned, had it been there. */
  result: 21,
  /** `bytes` receives the result of a call. Returns 0. */
  take: 22,
  /**
   * What a sink of {@link Op.transcode} holds back comes out of its source. text: its number, bytes: one byte, the kind of flush as zlib and
   * Brotli number them. Completes when that has been read; not while a write is under way.
   */
  flush: 23,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

/** Most bytes of one {@link Op.write}. */
export const maxChunkBytes = 256 * 1024;

/** Binary parts are `{ $bytes: [start, length] }` of the payload; keys have a `$key` beside it ({@link CryptoKeyData}). */
export interface CryptoCall {
  method: string;
  args: unknown[];
}

export interface CryptoKeyData {
  type: "secret" | "private" | "public";
  algorithm: Record<string, unknown>;
  extractable: boolean;
  usages: KeyUsage[];
}

export interface DecodeRequest {
  /** Number of the decoder, which the guest chooses: one that is new starts in its first state. */
  id: number;
  /** Name of the encoding. */
  encoding: string;
  fatal: boolean;
  ignoreBOM: boolean;
  /** More follows; otherwise the decoder ends. */
  stream: boolean;
  /** Bytes of the input. */
  length: number;
}

/** What {@link Op.transcode} does; `unzip` is gzip or deflate, whatever the first byte says. */
export const codings = [
  "compress gzip",
  "compress deflate",
  "compress deflate-raw",
  "compress brotli",
  "decompress gzip",
  "decompress deflate",
  "decompress deflate-raw",
  "decompress brotli",
  "decompress unzip",
] as const;
export type Coding = (typeof codings)[number];

export interface TranscodeRequest {
  coding: Coding;
  options: TranscodeOptions;
}

/** What Node's zlib takes by these names. */
export interface TranscodeOptions {
  level?: number;
  windowBits?: number;
  memLevel?: number;
  strategy?: number;
  flush?: number;
  finishFlush?: number;
  /** Brotli's, by number. */
  params?: Record<number, number>;
  /** Base64. */
  dictionary?: string;
  rejectGarbageAfterEnd?: boolean;
}

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

/** What {@link Op.call} returns besides a length and {@link Refused}. */
export const CallState = { pending: -16, failed: -32 } as const;

/** Name of a service of the host and what it is to do: the service knows the shape. */
export type HostCall = [service: string, ...args: unknown[]];

/** Host → guest. */
export const Event = {
  /**
   * text: the {@link RequestHead} as {@link encodeHead} writes it, bytes: the body (none when it is a source).
   * In the place of an operation's number: {@link RequestFlag} bits.
   */
  request: 1,
  /** Operation `id` succeeded; text and bytes as the operation says ("" and empty when it says nothing). */
  complete: 2,
  /** Operation `id` failed. text: {@link GuestError}. */
  reject: 3,
  /** The client went away: fire the request's AbortSignal. */
  abort: 4,
  /** Top-level code and its microtasks have run: the function's entry must be there by now. */
  built: 5,
  /** Before any request, once for each set of them. text: variables and secrets of the function, an object of strings. */
  variables: 6,
} as const;
export type Event = (typeof Event)[keyof typeof Event];

export type HeaderList = [name: string, value: string][];

/** What a guest needs of a request before it looks at its head. */
export const RequestFlag = {
  /** The body is source 0. */
  stream: 1,
  /** The method is HEAD. */
  head: 2,
} as const;

export interface RequestHead {
  method: string;
  /** Absolute URL as the function sees it. */
  url: string;
  headers: HeaderList;
  context: { requestId: string; functionName: string; version: number };
  /** The clock, ms since the epoch. */
  now: number;
}

/** Numbers of the lines of an encoded head; names and values of the headers follow by turns. */
export const HeadLine = {
  method: 0,
  url: 1,
  now: 2,
  requestId: 3,
  functionName: 4,
  version: 5,
  headers: 6,
} as const;

/**
 * A head as lines, which a guest takes apart when something asks for them: most functions need few, and JSON would have to be parsed whole.
 *
 * @throws TypeError for a line break in one of the parts: no HTTP message has one there.
 */
export function encodeHead({ method, url, headers, context, now }: RequestHead): string {
  let text = `${method}\n${url}\n${now}\n${context.requestId}\n${context.functionName}\n${context.version}`;
  let lines: number = HeadLine.headers;
  for (const [name, value] of headers) {
    text += `\n${name}\n${value}`;
    lines += 2;
  }
  let found = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) found++;
  if (found !== lines) throw new TypeError("a request's head has a line break in it");
  return text;
}

export interface ResponseHead {
  status: number;
  statusText?: string;
  headers: HeaderList;
  /** The body goes to sink 0. */
  stream?: boolean;
  /** True when `ctx.waitUntil` holds promises that are still pending: the invocation goes on until {@link Op.done}. */
  more?: boolean;
}

/** The second line of an encoded {@link ResponseHead}. */
export const ResponseFlag = { more: 1, stream: 2 } as const;

/** Number of lines before the headers of an encoded {@link ResponseHead}: status, flags, status text. */
export const responseHeadLines = 3;

export interface GuestError {
  name: string;
  message: string;
  /** Engine stack, positions in the bundle. */
  stack?: string;
  /** A literal code, for errors made by the host (`egress_denied`, `db_query_timeout`, …) or by the guest library (`invalid_response`). */
  code?: string;
  /** More properties of an error made by the host. */
  details?: Readonly<Record<string, string>> | undefined;
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
  /** The body goes to the sink of the operation's number. */
  stream?: boolean;
}

export interface FetchResponse {
  status: number;
  statusText: string;
  headers: HeaderList;
  url: string;
  redirected: boolean;
  /** False when there is no body, not even an empty one (HEAD, 204, 304). */
  hasBody?: boolean;
  /** The body is the source of the operation's number. */
  stream?: boolean;
}

/**
 * Lines of a query, of which the last, with line breaks of its own, is the statement; JSON has none. Beside what a {@link QueryRequest} says
 * there is `rows`, the shape of the rows: {@link RowShape}. Empty: no lease, no types, no parameters.
 */
export const QueryLine = { lease: 0, rows: 1, textTypes: 2, params: 3, statement: 4 } as const;
/** Rows as arrays of values, or as objects with the columns' names. */
export type RowShape = "arrays" | "objects";
/** Lines of its result: `about` is JSON of a {@link QueryResponse} without rows, `tagged` of the numbers of columns with values that are no plain JSON. */
export const ResultLine = { about: 0, tagged: 1, rows: 2 } as const;

export interface QueryRequest {
  text: string;
  params: QueryParam[];
  /**
   * Runs on a connection that is reserved under this number (1, 2, …) from the first query that names it until {@link Op.release}.
   * A number that was released is not used again. Without one, each query may have another connection.
   */
  lease?: number;
  /** Types (oids), elements of arrays included, of which values stay the text that the database sent; "all": every one. */
  textTypes?: number[] | "all";
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
