import type { QueryParam, QueryRequest } from "../../runtime/protocol.ts";
import { brokerError } from "./errors.ts";

/** Bytes of UTF-8 in one statement. */
export const MAX_STATEMENT_BYTES = 100_000;
export const MAX_PARAMS = 1000;

const TRANSACTION_CONTROL = new Set([
  "abort",
  "begin",
  "commit",
  "end",
  "release",
  "rollback",
  "savepoint",
  "start",
]);

/** Throws a HostError for a request that no server should see. */
export function checkStatement(request: QueryRequest): void {
  const { text, params } = request;
  if (typeof text !== "string" || !Array.isArray(params))
    throw invalid("a query needs a text and parameters");
  if (Buffer.byteLength(text) > MAX_STATEMENT_BYTES)
    throw invalid(`the statement is longer than ${MAX_STATEMENT_BYTES} bytes`);
  if (text.includes("\0")) throw invalid("the statement contains a NUL character");
  if (params.length > MAX_PARAMS) throw invalid(`more than ${MAX_PARAMS} parameters`);
  for (const param of params) checkParam(param, 0);
  const keyword = firstKeyword(text);
  if (keyword === "") throw invalid("the statement is empty");
  if (keyword === "copy") throw brokerError("db_unsupported", "COPY is not supported");
  // Each statement has its own lease, so a BEGIN would be undone at once and what follows would commit by itself:
  // better a clear error than atomicity that is only believed in.
  if (TRANSACTION_CONTROL.has(keyword))
    throw brokerError(
      "db_unsupported",
      `${keyword.toUpperCase()}: transactions over several statements are not supported`,
    );
}

/** The first word of a statement in lower case; "" when there is none. Empty statements and comments do not count. */
export function firstKeyword(text: string): string {
  let at = 0;
  while (at < text.length) {
    if (/[\s;(]/.test(text[at]!)) at++;
    else if (text.startsWith("--", at)) at = lineEnd(text, at);
    else if (text.startsWith("/*", at)) at = commentEnd(text, at);
    else break;
  }
  return /^[a-z_]+/i.exec(text.slice(at, at + 40))?.[0].toLowerCase() ?? text.slice(at, at + 1);
}

function lineEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) if (text[at] === "\n" || text[at] === "\r") return at;
  return text.length;
}

/** Comments nest in Postgres, unlike in the SQL standard's older versions. */
function commentEnd(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith("/*", at)) {
      depth++;
      at++;
    } else if (text.startsWith("*/", at)) {
      at++;
      if (--depth === 0) return at + 1;
    }
  }
  return text.length;
}

/** Postgres arrays have at most 6 dimensions; JSON in a parameter may be deeper, but then it should be a string. */
const MAX_ARRAY_DEPTH = 32;

function checkParam(param: QueryParam, depth: number): void {
  if (param === null) return;
  switch (typeof param) {
    case "boolean":
    case "string":
      return;
    case "number":
      if (Number.isFinite(param)) return;
      break;
    case "object":
      if (Array.isArray(param)) {
        if (depth >= MAX_ARRAY_DEPTH) throw invalid("a parameter is nested too deeply");
        for (const element of param) checkParam(element, depth + 1);
        return;
      }
      if ("$bytes" in param && typeof param.$bytes === "string") return;
      if ("$date" in param && typeof param.$date === "string") return;
      if ("$bigint" in param && typeof param.$bigint === "string" && /^-?\d+$/.test(param.$bigint)) return;
  }
  throw invalid(
    "a parameter is neither null, boolean, number, string, bytes, date, bigint nor an array of them",
  );
}

const invalid = (message: string) => brokerError("db_invalid_request", message);
