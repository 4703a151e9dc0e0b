import type { QueryRequest, QueryResponse } from "../protocol.ts";
import { Op } from "../protocol.ts";
import type { Completion } from "./host.ts";
import { PostgresError } from "./sql-errors.ts";
import type { ColumnInfo, SqlOptions } from "./sql-options.ts";
import { Draft, Part } from "./sql-text.ts";
import { decodeValue, encodeParam } from "./sql-values.ts";

const { parse, stringify } = JSON;

/** What the rest of the guest library gives to this one. */
export interface SqlHost {
  start(what: string, op: Op, text: string, bytes: undefined, completion: Completion): number;
  cancel(id: number): void;
  release(lease: number): void;
}

/** Where the queries of a `sql` go. */
export interface Connection {
  readonly host: SqlHost;
  readonly options: SqlOptions;
  /** The reserved connection, where there is one. Throws when it was given back. */
  lease(): number | undefined;
  /** Is told of each query that failed. */
  onError?(error: unknown): void;
}

type Row = Record<string, unknown>;
export type Rows = unknown[] & Pick<QueryResponse, "count" | "command" | "columns"> & { statement: object };
type Shape = "objects" | "values" | "raw";

/** A query runs when it is awaited; until then it can be a fragment of another. */
export class Query extends Part {
  readonly #connection: Connection;
  readonly #strings: readonly string[];
  readonly #values: readonly unknown[];
  /** The parameters of `unsafe`, whose text has its own placeholders. */
  readonly #params: readonly unknown[] | undefined;
  #shape: Shape = "objects";
  #sent: Sent | undefined;

  constructor(
    connection: Connection,
    strings: readonly string[],
    values: readonly unknown[],
    params?: readonly unknown[],
  ) {
    super();
    this.#connection = connection;
    this.#strings = strings;
    this.#values = values;
    this.#params = params;
  }

  writeTo(draft: Draft): void {
    if (this.#params?.length)
      throw new TypeError("sql.unsafe with parameters cannot be part of another query");
    draft.template(this.#strings, this.#values);
  }

  /** Rows as arrays, in column order. */
  values(): this {
    this.#shape = "values";
    return this;
  }
  /** The same, of the bytes of each value's text. */
  raw(): this {
    this.#shape = "raw";
    return this;
  }
  /** Every query is one statement, by the extended protocol; there is nothing to change for a simple one. */
  simple(): this {
    return this;
  }
  forEach(onRow: (row: unknown, rows: Rows) => void): this {
    const { result, cancel } = this.#send();
    const emptied = result.then((rows) => {
      for (const row of rows.splice(0)) onRow(row, rows);
      return rows;
    });
    this.#sent = { result: emptied, cancel };
    return this;
  }
  /** Stops it; it rejects with the code of a cancelled statement. */
  cancel(): void {
    if (this.#sent) this.#sent.cancel();
    else this.#sent = refused(cancelled());
  }
  execute(): this {
    this.#send();
    return this;
  }
  describe(): never {
    throw unsupported(".describe()", "the pool runs whole statements only");
  }
  readable(): never {
    throw unsupported(".readable()", "COPY does not go through the pool; select or insert rows");
  }
  writable(): never {
    throw unsupported(".writable()", "COPY does not go through the pool; select or insert rows");
  }
  stream(): never {
    throw new Error(".stream has been renamed to .forEach");
  }

  /** The rows in pieces, by a cursor of the server; `onRows` may be asynchronous. */
  cursor(count?: number, onRows?: (rows: Rows) => unknown): AsyncIterable<Rows> | Promise<void>;
  cursor(onRows: (rows: Rows) => unknown): Promise<void>;
  cursor(count: unknown = 1, onRows?: (rows: Rows) => unknown): AsyncIterable<Rows> | Promise<void> {
    if (typeof count === "function") return this.cursor(1, count as typeof onRows);
    const pieces = this.#pieces(count as number);
    if (!onRows) return pieces;
    return (async () => {
      for await (const rows of pieces) if ((await onRows(rows)) === CLOSE) break;
    })();
  }

  async *#pieces(count: number): AsyncGenerator<Rows> {
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`a cursor takes ${count} rows at once`);
    const outer = this.#connection;
    const own = outer.lease() === undefined ? new Lease(outer.host) : undefined;
    const connection: Connection = own ? { ...outer, lease: () => own.number() } : outer;
    const { text, params } = this.#request();
    const run = (statement: string, values: QueryRequest["params"] = []) =>
      send(connection, { text: statement, params: values }, this.#shape);
    const name = `"thimble cursor ${++cursors}"`;
    try {
      // held, since there may be no transaction around it
      await run(`declare ${name} no scroll cursor with hold for ${text}`, params).result;
      for (;;) {
        const rows = await run(`fetch ${count} from ${name}`).result;
        if (rows.length > 0) yield rows;
        if (rows.length < count) break;
      }
    } finally {
      if (own) own.end();
      else await run(`close ${name}`).result.catch(() => {});
    }
  }

  #request(): QueryRequest {
    if (this.#values.length === 0 && !this.#params?.length) return { text: this.#strings[0]!, params: [] };
    const draft = new Draft(this.#connection.options);
    draft.template(this.#strings, this.#values);
    for (const value of this.#params ?? []) draft.params.push(encodeParam(value, this.#connection.options));
    return { text: draft.text, params: draft.params };
  }

  #send(): Sent {
    if (this.#sent) return this.#sent;
    try {
      this.#sent = send(this.#connection, this.#request(), this.#shape);
    } catch (error) {
      // as with any promise, what is wrong with the query rejects it
      this.#sent = refused(error);
    }
    return this.#sent;
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a query runs it
  then<A = Rows, B = never>(
    onValue?: ((rows: Rows) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#send().result.then(onValue, onError);
  }
  catch<B>(onError: (error: unknown) => B): Promise<Rows | B> {
    return this.then(undefined, onError);
  }
  finally(onDone: () => void): Promise<Rows> {
    return this.#send().result.finally(onDone);
  }
  get [Symbol.toStringTag](): string {
    return "Query";
  }
}

/** What a cursor's callback returns to have no more. */
export const CLOSE = {};

let cursors = 0;
let leases = 0;

/** A connection of one's own, from the first query on it to its end. */
export class Lease {
  readonly #host: SqlHost;
  readonly #number = ++leases;
  #ended = false;
  constructor(host: SqlHost) {
    this.#host = host;
  }
  number(): number {
    if (!this.#ended) return this.#number;
    const error = new Error("this transaction or reserved connection has ended");
    throw Object.assign(error, { name: "DatabaseError", code: "db_lease_ended" });
  }
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#host.release(this.#number);
  }
}

export const unsupported = (what: string, why: string) =>
  Object.assign(new Error(`${what} is not supported: ${why}`), { code: "db_unsupported" });

const cancelled = () =>
  new PostgresError("canceling statement due to user request", { code: "57014", severity: "ERROR" });

/** A query on its way. */
interface Sent {
  result: Promise<Rows>;
  cancel(): void;
}

const refused = (error: unknown): Sent => ({ result: Promise.reject(error), cancel() {} });

function send(connection: Connection, { text, params }: QueryRequest, shape: Shape): Sent {
  const { host, options } = connection;
  const request: QueryRequest = { text, params };
  const lease = connection.lease();
  if (lease !== undefined) request.lease = lease;
  if (shape === "raw") request.textTypes = "all";
  else {
    const types: number[] = [];
    for (const type in options.parsers) types.push(Number(type));
    if (types.length > 0) request.textTypes = types;
  }
  let resolve!: (rows: Rows) => void;
  let reject!: (error: unknown) => void;
  const result = new Promise<Rows>((resolved, rejected) => {
    resolve = resolved;
    reject = rejected;
  });
  const fail = (error: unknown) => {
    connection.onError?.(error);
    reject(error);
  };
  const id = host.start("sql", Op.query, stringify(request), undefined, (error, answer) => {
    if (error) return fail(PostgresError.from(error, { text, params }));
    try {
      resolve(toRows(parse(answer) as QueryResponse, text, shape, options));
    } catch (thrown) {
      fail(thrown);
    }
  });
  const cancel = () => {
    host.cancel(id);
    fail(cancelled());
  };
  return { result, cancel };
}

const encoder = new TextEncoder();
const toBytes = (value: unknown) => encoder.encode(value as string);

/** What makes a value of a column, where that is not {@link decodeValue}; never asked about null. */
function readerOf(
  { type }: ColumnInfo,
  shape: Shape,
  { parsers }: SqlOptions,
): ((value: never) => unknown) | undefined {
  if (shape === "raw") return toBytes;
  // NaN and the infinities are no JSON
  return parsers[type] ?? (type === 700 || type === 701 ? Number : undefined);
}

function toRows(response: QueryResponse, text: string, shape: Shape, options: SqlOptions): Rows {
  const { columns } = response;
  const { column, value, row } = options.transform;
  const names: string[] = [];
  const readers: (((value: never) => unknown) | undefined)[] = [];
  for (const info of columns) {
    names.push(column.from ? column.from(info.name) : info.name);
    readers.push(readerOf(info, shape, options));
  }
  const result = new Result(response, text);
  for (const values of response.rows) {
    const object: Row = {};
    for (let i = 0; i < names.length; i++) {
      const sent = values[i];
      const read = readers[i];
      let made = sent;
      if (sent !== null)
        made = read ? read(sent as never) : typeof sent === "object" ? decodeValue(sent) : sent;
      if (value.from) made = value.from(made, columns[i]!);
      if (shape === "objects") object[names[i]!] = made;
      else values[i] = made;
    }
    if (shape !== "objects") result.push(values);
    else result.push(row.from ? row.from(object) : object);
  }
  return result as unknown as Rows;
}

/** Rows, and beside them what else is known of the result. */
class Result extends Array<unknown> {
  readonly #response: QueryResponse;
  readonly #text: string;
  static override get [Symbol.species]() {
    return Array;
  }
  constructor(response: QueryResponse, text: string) {
    super();
    this.#response = response;
    this.#text = text;
  }
  get count(): number {
    return this.#response.count;
  }
  get command(): string {
    return this.#response.command;
  }
  get columns(): ColumnInfo[] {
    return this.#response.columns;
  }
  get statement(): object {
    return { string: this.#text, columns: this.columns };
  }
}
