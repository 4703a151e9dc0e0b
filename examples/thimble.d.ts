/** The last argument of a handler. */
interface Context {
  readonly requestId: string;
  readonly functionName: string;
  readonly version: number;
  /** The HTTP request, for event-style handlers too. */
  readonly request: Request;
  /** Fires when the client goes away. */
  readonly signal: AbortSignal;
  readonly env: Record<string, string>;
  /** Keeps the invocation going, within its time limit, until the promise has settled. */
  waitUntil(work: Promise<unknown>): void;
}

declare module "thimble:db" {
  type Rows = Record<string, unknown>[] & { count: number; command: string };
  interface Query extends PromiseLike<Rows> {
    /** Rows as arrays, in column order. */
    values(): PromiseLike<unknown[][]>;
  }
  interface Sql {
    (strings: TemplateStringsArray, ...values: unknown[]): Query;
    /** An identifier, a list of values, or the columns and values of rows, for use in a template. */
    (part: string | readonly unknown[] | object, ...columns: string[]): object;
    unsafe(text: string, params?: unknown[]): Query;
    json(value: unknown): object;
  }
  export const sql: Sql;
  export default sql;
}
