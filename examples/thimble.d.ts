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
