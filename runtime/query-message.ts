import { GuestMessageError, messageLimits, unsigned } from "./guest-message.ts";
import {
  QueryLine,
  type QueryParam,
  type QueryRequest,
  type QueryResponse,
  type RowShape,
} from "./protocol.ts";
import { HostError } from "./services.ts";

/** A query as a guest asks for it. */
export interface QueryCall {
  request: QueryRequest;
  rows: RowShape;
}

const decoder = new TextDecoder();
/** Numbers of types of which some values (NaN and the infinities) are no JSON and come as text. */
const floats = new Set([700, 701]);

/**
 * The lines of {@link QueryLine}. The parameters are checked where they are encoded for the database.
 *
 * @throws GuestMessageError
 */
export function readQueryCall(message: Uint8Array): QueryCall {
  if (message.length > messageLimits.query) throw new GuestMessageError("query");
  const text = decoder.decode(message);
  const head: string[] = [];
  let at = 0;
  while (head.length < QueryLine.statement) {
    const end = text.indexOf("\n", at);
    if (end < 0) throw new GuestMessageError("query");
    head.push(text.slice(at, end));
    at = end + 1;
  }
  const [lease, rows, textTypes, params] = head as [string, string, string, string];
  if (rows !== "arrays" && rows !== "objects") throw new GuestMessageError("query");
  const request: QueryRequest = {
    text: text.slice(at),
    params: params === "" ? [] : (list(params) as QueryParam[]),
  };
  if (lease !== "") request.lease = unsigned("query", Number(lease), 1);
  if (textTypes === "all") request.textTypes = "all";
  else if (textTypes !== "") request.textTypes = list(textTypes).map((type) => unsigned("query", type));
  return { request, rows };
}

function list(json: string): unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new GuestMessageError("query");
  }
  if (!Array.isArray(value)) throw new GuestMessageError("query");
  return value;
}

/** Characters of the columns' names in all rows of one result: in a result of 4 MiB on the wire they could be a hundred. */
const maxKeyCharacters = 16 * 1024 * 1024;

/**
 * A result as the lines of `ResultLine`.
 *
 * @throws HostError `db_result_too_large` for objects whose names are too much.
 */
export function encodeResult({ rows, columns, count, command }: QueryResponse, shape: RowShape): string {
  const keys = columns.map(({ name }) => `${JSON.stringify(name)}:`);
  const keyCharacters = keys.reduce((sum, { length }) => sum + length, 0) * rows.length;
  if (shape === "objects" && keyCharacters > maxKeyCharacters)
    throw new HostError(
      "db_result_too_large",
      "the names of the columns, once for each row, are too much: take rows as arrays, fewer columns, or shorter names",
      { name: "DatabaseError" },
    );
  const tagged = new Set<number>();
  const [open, close] = shape === "objects" ? ["{", "}"] : ["[", "]"];
  const texts = rows.map((row) => {
    let text = open!;
    for (let i = 0; i < columns.length; i++) {
      const value = row[i];
      if (i > 0) text += ",";
      if (shape === "objects") text += keys[i];
      switch (typeof value) {
        case "number":
        case "boolean":
          text += value;
          continue;
        case "string":
          if (floats.has(columns[i]!.type)) tagged.add(i);
          break;
        case "object":
          if (value !== null) tagged.add(i);
      }
      text += JSON.stringify(value ?? null);
    }
    return text + close;
  });
  // of columns with the same name, an object has the last
  const last = (i: number) => columns.findLastIndex(({ name }) => name === columns[i]!.name) === i;
  const shown = [...tagged].filter((i) => shape === "arrays" || last(i));
  const about = JSON.stringify({ columns, count, command });
  return `${about}\n${shown.length > 0 ? JSON.stringify(shown) : ""}\n[${texts.join(",")}]`;
}
