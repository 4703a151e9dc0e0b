/** What functions are made of. Types only: `import type { Context } from "thimble"` leaves nothing in a function. */
declare module "thimble" {
  /** The function's variables and secrets, and the limits in force. */
  export interface Env {
    readonly [name: string]: string | undefined;
    readonly FUNCTION_TIMEOUT_MS: string;
    readonly FUNCTION_MAX_MEMORY_MB: string;
    readonly DB_TIMEOUT_MS: string;
  }

  /** The last argument of a handler. */
  export interface Context {
    readonly requestId: string;
    readonly functionName: string;
    readonly version: number;
    /** The HTTP request, for event-style handlers too. */
    readonly request: Request;
    /** Fires when the client goes away. */
    readonly signal: AbortSignal;
    readonly env: Env;
    /** Keeps the invocation going, within its time limit, until the promise has settled. */
    waitUntil(work: Promise<unknown>): void;
    /** Writes to the function's log. */
    log(...values: unknown[]): void;
  }

  /** A response, text, bytes, a stream, or a value that is written as JSON; null and undefined are answered with 204. */
  export type Reply = Response | string | number | boolean | object | null | undefined;

  /** `export function handler(body, ctx)`: JSON in, JSON out. An empty body is undefined. */
  export type Handler<Body = unknown> = (body: Body | undefined, ctx: Context) => Reply | Promise<Reply>;

  /** `export default (request, ctx) => …`, and functions named after methods. */
  export type RequestHandler = (request: Request, ctx: Context) => Reply | Promise<Reply>;

  /** `export default { fetch }` */
  export interface FetchHandler {
    fetch(request: Request, env: Env, ctx: Context): Reply | Promise<Reply>;
  }

  /** `export const onRequest`, as Cloudflare Pages have it. */
  export type PagesFunction = (context: {
    readonly request: Request;
    readonly env: Env;
    readonly params: Record<string, string>;
    readonly data: Record<string, unknown>;
    waitUntil(work: Promise<unknown>): void;
    next(): Promise<Response>;
  }) => Reply | Promise<Reply>;

  /** `export const config = { … } satisfies FunctionConfig`: literal values; limits only ever lower the server's. */
  export interface FunctionConfig {
    /** Wall clock of one execution, ms. */
    timeoutMs?: number;
    /** Time inside the sandbox, ms. */
    cpuMs?: number;
    memoryMb?: number;
    /** Executions at once. */
    concurrency?: number;
    /** Deterministic budget of one execution. */
    fuel?: number;
    /** A sandbox for each request (default), or one that answers many and keeps what they leave. */
    isolation?: "request" | "instance";
    /** Host names that `fetch` may reach; absent: every public address. */
    egress?: string[];
    database?: "read" | "write" | false;
    /** A path requested once at build time, so that lazy set-up is in the image. */
    warmup?: string;
  }
}

/** The last argument of a handler, without an import. */
type Context = import("thimble").Context;

declare module "thimble:db" {
  type Row = Record<string, unknown>;
  type Rows<R = Row> = R[] & { count: number; command: string };
  interface Query<R = Row> extends Promise<Rows<R>> {
    /** Rows as arrays, in column order. */
    values(): Promise<unknown[][]>;
    /** Row after row; the result has none. */
    forEach(onRow: (row: R) => void): Promise<Rows<R>>;
    /** The rows in pieces, by a cursor of the server. */
    cursor(rows?: number): AsyncIterable<Rows<R>>;
    cancel(): void;
  }
  interface Queries {
    <R = Row>(strings: TemplateStringsArray, ...values: unknown[]): Query<R>;
    /** An identifier, a list of values, or the columns and values of rows, for use in a template. */
    (part: string | readonly unknown[] | object, ...columns: string[]): object;
    unsafe<R = Row>(text: string, params?: readonly unknown[]): Query<R>;
    json(value: unknown): object;
  }
  interface Transaction extends Queries {
    savepoint<T>(work: (sql: Transaction) => T): Promise<Awaited<T>>;
    savepoint<T>(name: string, work: (sql: Transaction) => T): Promise<Awaited<T>>;
  }
  interface Sql extends Queries {
    /** Commits when the work succeeds, rolls back when it, or one of its queries, fails. */
    begin<T>(work: (sql: Transaction) => T): Promise<Awaited<T>>;
    begin<T>(characteristics: string, work: (sql: Transaction) => T): Promise<Awaited<T>>;
    /** A connection of one's own until its `release()`. */
    reserve(): Promise<Queries & { release(): void }>;
  }
  export const sql: Sql;
  export default sql;
}

/** What there is of Deno. */
declare const Deno: {
  readonly args: string[];
  readonly version: { readonly deno: string; readonly v8: string; readonly typescript: string };
  readonly env: {
    get(name: string): string | undefined;
    has(name: string): boolean;
    toObject(): Record<string, string>;
  };
  readonly errors: { readonly NotFound: new (message?: string) => Error };
  serve(handler: import("thimble").RequestHandler): object;
  serve(options: object, handler: import("thimble").RequestHandler): object;
  cwd(): string;
  /** Files of the function's folder that are no code. */
  readFile(path: string | URL): Promise<Uint8Array<ArrayBuffer>>;
  readFileSync(path: string | URL): Uint8Array<ArrayBuffer>;
  readTextFile(path: string | URL): Promise<string>;
  readTextFileSync(path: string | URL): string;
  /** Throws: a function ends when it has answered. */
  exit(code?: number): never;
};
