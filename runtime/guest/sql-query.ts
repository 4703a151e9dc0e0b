import type { QueryRequest, QueryResponse, RowShape } from "../protocol.ts";
import { Op, ResultLine } from "../protocol.ts";
import type { Completion } from "./host.ts";
import { PostgresError } from "./sql-errors.ts";
import type { ColumnInfo, SqlOptions } from "./sql-options.ts";
import { Draft, Part } from "./sql-text.ts";
import { decodeValue, encodeParam } from "./sql-values.ts";

const { parse, stringify } = JSON;
const { setPrototypeOf } = Object;

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

function send(connection: Connection, request: QueryRequest, shape: Shape): Sent {
  const { host, options } = connection;
  const lease = connection.lease();
  const reading = readingOf(shape, options);
  const { promise: result, resolve, reject } = Promise.withResolvers<Rows>();
  const fail = (error: unknown) => {
    connection.onError?.(error);
    reject(error);
  };
  const { text, params } = request;
  const values = params.length > 0 ? stringify(params) : "";
  const message = `${lease ?? ""}\n${reading.rows}\n${reading.textTypes}\n${values}\n${text}`;
  const id = host.start("sql", Op.query, message, undefined, (error, answer) => {
    if (error) return fail(PostgresError.from(error, request));
    try {
      resolve(toRows(answer, text, reading, options));
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

/** How rows come from the host, and whether each of their values has to be looked at. */
interface Reading {
  rows: RowShape;
  textTypes: string;
  each: Shape | null;
}

function readingOf(shape: Shape, { parsers, transform }: SqlOptions): Reading {
  if (shape === "raw") return { rows: "arrays", textTypes: "all", each: shape };
  const types: number[] = [];
  for (const type in parsers) types.push(Number(type));
  const { column, value, row } = transform;
  if (types.length > 0 || column.from || value.from || row.from)
    return { rows: "arrays", textTypes: stringify(types), each: shape };
  return { rows: shape === "objects" ? "objects" : "arrays", textTypes: "", each: null };
}

const encoder = new TextEncoder();
const toBytes = (value: unknown) => encoder.encode(value as string);

/** What makes a value of a column from what the host sends; never asked about null. */
function readerOf(
  { type }: ColumnInfo,
  shape: Shape | null,
  { parsers }: SqlOptions,
): (value: never) => unknown {
  if (shape === "raw") return toBytes;
  // NaN and the infinities are no JSON
  return parsers[type] ?? (type === 700 || type === 701 ? Number : decodeValue);
}

function toRows(answer: string, statement: string, reading: Reading, options: SqlOptions): Rows {
  const lines = answer.split("\n") as [string, string, string];
  const rows = parse(lines[ResultLine.rows]) as unknown[];
  const result = new Result(rows, lines[ResultLine.about], statement);
  if (reading.each) readEach(result, reading.each, options);
  else if (lines[ResultLine.tagged] !== "")
    readTagged(result, parse(lines[ResultLine.tagged]), reading.rows, options);
  return rows as unknown as Rows;
}

function readTagged(result: Result, tagged: number[], shape: RowShape, options: SqlOptions): void {
  for (const i of tagged) {
    const info = result.columns[i]!;
    const key = shape === "objects" ? info.name : i;
    const read = readerOf(info, null, options);
    for (const row of result as unknown as Record<string | number, unknown>[]) {
      const value = row[key];
      if (value !== null) row[key] = read(value as never);
    }
  }
}

function readEach(result: Result, shape: Shape, options: SqlOptions): void {
  const { column, value, row } = options.transform;
  const columns = result.columns.map((info) => {
    return {
      info,
      name: column.from ? column.from(info.name) : info.name,
      read: readerOf(info, shape, options),
    };
  });
  for (let at = 0; at < result.length; at++) {
    const values = result[at] as unknown[];
    const object: Row = {};
    columns.forEach(({ info, name, read }, i) => {
      const sent = values[i];
      let made = sent === null ? null : read(sent as never);
      if (value.from) made = value.from(made, info);
      if (shape === "objects") object[name] = made;
      else values[i] = made;
    });
    if (shape === "objects") result[at] = row.from ? row.from(object) : object;
  }
}

/** Makes fields of a class a part of an object that is there already. */
class Extension {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is what it is for
    return object;
  }
}

/** Rows, and beside them what else is known of the result. */
class Result extends (Extension as new (rows: unknown[]) => unknown[] & Extension) {
  readonly #about: string;
  readonly #statement: string;
  #response: Pick<QueryResponse, "count" | "command" | "columns"> | undefined;
  static get [Symbol.species]() {
    return Array;
  }
  constructor(rows: unknown[], about: string, statement: string) {
    super(rows);
    this.#about = about;
    this.#statement = statement;
    setPrototypeOf(rows, Result.prototype);
  }
  get #known(): Pick<QueryResponse, "count" | "command" | "columns"> {
    this.#response ??= parse(this.#about) as Pick<QueryResponse, "count" | "command" | "columns">;
    return this.#response;
  }
  get count(): number {
    return this.#known.count;
  }
  get command(): string {
    return this.#known.command;
  }
  get columns(): ColumnInfo[] {
    return this.#known.columns;
  }
  get statement(): object {
    return { string: this.#statement, columns: this.columns };
  }
}
setPrototypeOf(Result.prototype, Array.prototype);
