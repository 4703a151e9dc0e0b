import type { QueryRequest, QueryResponse } from "../protocol.ts";
import { Op } from "../protocol.ts";
import { start } from "./host.ts";
import { defineProperty, isArray, parseJson, stringifyJson, then } from "./primordials.ts";
import { decodeValue, encodeParam, Json } from "./sql-values.ts";

type Row = Record<string, unknown>;
export type Rows = (Row | unknown[])[] & Pick<QueryResponse, "count" | "command" | "columns">;

const quoteName = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** What `sql(…)` makes: an identifier, a list of values, or columns and values of rows. */
class Helper {
  readonly first: unknown;
  readonly columns: string[];
  constructor(first: unknown, columns: string[]) {
    this.first = first;
    this.columns = columns;
  }
  write(request: Draft): string {
    const { first } = this;
    if (typeof first === "string") return first.split(".").map(quoteName).join(".");
    if (isArray(first) && first.length === 0) throw new TypeError("sql([]): there are no values");
    if (isArray(first) && (typeof first[0] !== "object" || first[0] === null)) {
      return `(${first.map((value) => request.param(value)).join(", ")})`;
    }
    const rows = (isArray(first) ? first : [first]) as Row[];
    const columns = this.columns.length > 0 ? this.columns : Object.keys(rows[0]!);
    if (/\bset\s*$/i.test(request.text)) {
      return columns.map((name) => `${quoteName(name)} = ${request.param(rows[0]![name])}`).join(", ");
    }
    const values = rows.map((row) => `(${columns.map((name) => request.param(row[name])).join(", ")})`);
    return `(${columns.map(quoteName).join(", ")}) values ${values.join(", ")}`;
  }
}

let writeFragment: (query: Query, draft: Draft) => void;

/** A statement being put together: placeholders are numbered across nested fragments. */
class Draft {
  text = "";
  params: QueryRequest["params"] = [];

  param(value: unknown): string {
    this.params.push(encodeParam(value));
    return `$${this.params.length}`;
  }
  add(strings: readonly string[], values: unknown[]): void {
    for (let i = 0; i < strings.length; i++) {
      this.text += strings[i];
      if (i === values.length) break;
      const value = values[i];
      if (value instanceof Query) writeFragment(value, this);
      else this.text += value instanceof Helper ? value.write(this) : this.param(value);
    }
  }
}

/** A query runs when it is awaited; until then it can be a fragment of another. */
export class Query {
  readonly #strings: readonly string[];
  readonly #values: unknown[];
  /** The parameters of `unsafe`, whose text has its own placeholders. */
  readonly #params: unknown[] | undefined;
  #asArrays = false;
  #result: Promise<Rows> | undefined;

  static {
    writeFragment = (query, draft) => {
      if (query.#params?.length)
        throw new TypeError("sql.unsafe with parameters cannot be part of another query");
      draft.add(query.#strings, query.#values);
    };
  }

  constructor(strings: readonly string[], values: unknown[], params?: unknown[]) {
    this.#strings = strings;
    this.#values = values;
    this.#params = params;
  }
  /** Rows as arrays, in column order. */
  values(): this {
    this.#asArrays = true;
    return this;
  }
  execute(): this {
    this.#result ??= new Promise((resolve, reject) => {
      const draft = new Draft();
      draft.add(this.#strings, this.#values);
      for (const value of this.#params ?? []) draft.param(value);
      const request: QueryRequest = { text: draft.text, params: draft.params };
      start("sql", Op.query, stringifyJson(request), undefined, (error, text) => {
        if (error) reject(error);
        else resolve(toRows(parseJson(text) as QueryResponse, this.#asArrays));
      });
    });
    return this;
  }
  // biome-ignore lint/suspicious/noThenProperty: awaiting a query runs it
  then<A = Rows, B = never>(
    onValue?: (rows: Rows) => A,
    onError?: (error: unknown) => B,
  ): Promise<Awaited<A | B>> {
    this.execute();
    return then(this.#result!, onValue as (rows: Rows) => A | B, onError);
  }
  catch<B>(onError: (error: unknown) => B): Promise<Awaited<Rows | B>> {
    return this.then(undefined, onError);
  }
  finally(onDone: () => void): Promise<Rows> {
    return this.then().finally(onDone) as Promise<Rows>;
  }
  get [Symbol.toStringTag](): string {
    return "Query";
  }
}

function toRows({ columns, rows, count, command }: QueryResponse, asArrays: boolean): Rows {
  const result = rows.map((values) => {
    const decoded = values.map(decodeValue);
    if (asArrays) return decoded;
    const row: Row = {};
    for (let i = 0; i < columns.length; i++) row[columns[i]!.name] = decoded[i];
    return row;
  });
  for (const [name, value] of Object.entries({ count, command, columns })) {
    defineProperty(result, name, { value, writable: true, configurable: true, enumerable: false });
  }
  return result as Rows;
}

/** The tag, and `sql(name)`, `sql(values)`, `sql(row, ...columns)`. */
export function sql(first: unknown, ...rest: unknown[]): Query | Helper {
  if (isArray(first) && "raw" in first) return new Query(first as readonly string[], rest);
  return new Helper(first, rest as string[]);
}

sql.unsafe = (text: string, params: unknown[] = []): Query => new Query([text], [], params);
sql.json = (value: unknown): Json => new Json(value);
sql.begin = (): never => {
  throw new Error(
    "Transactions are not supported: each statement commits by itself. Use one statement (WITH …).",
  );
};
sql.end = (): Promise<void> => Promise.resolve();
