import type { QueryParam, QueryRequest } from "../../runtime/protocol.ts";
import { brokerError } from "./errors.ts";

/** Bytes of UTF-8 in one statement. */
export const MAX_STATEMENT_BYTES = 100_000;
export const MAX_PARAMS = 1000;

/** A statement that may go to a server. */
export interface Statement {
  text: string;
  params: QueryParam[];
  /** First word of the text, in lower case. */
  keyword: string;
  /** Of the parameters together, as they were sent. */
  paramBytes: number;
}

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

export const controlsTransaction = (keyword: string) => TRANSACTION_CONTROL.has(keyword);

/** Why a pooled connection cannot run these. */
const REFUSED: Readonly<Record<string, string>> = {
  copy: "COPY is not supported",
  listen: "LISTEN is not supported: a pooled connection hears of nothing between two queries",
  notify: "NOTIFY is not supported: its channels are shared by all functions",
  unlisten: "UNLISTEN is not supported: a pooled connection listens to nothing",
};

/** Throws a HostError for a request that no server should see. */
export function checkStatement(request: QueryRequest): Statement {
  const { text, params, lease } = request;
  if (typeof text !== "string" || !Array.isArray(params))
    throw invalid("a query needs a text and parameters");
  if (Buffer.byteLength(text) > MAX_STATEMENT_BYTES)
    throw invalid(`the statement is longer than ${MAX_STATEMENT_BYTES} bytes`);
  if (text.includes("\0")) throw invalid("the statement contains a NUL character");
  if (params.length > MAX_PARAMS) throw invalid(`more than ${MAX_PARAMS} parameters`);
  let paramBytes = 0;
  for (const param of params) paramBytes += paramSize(param, 0);
  const [keyword = "", second] = leadingWords(text, 2);
  if (keyword === "") throw invalid("the statement is empty");
  const refusal = REFUSED[keyword];
  if (refusal !== undefined) throw brokerError("db_unsupported", refusal);
  // It would outlive the session, with its locks.
  if (keyword === "prepare" && second === "transaction")
    throw brokerError("db_unsupported", "PREPARE TRANSACTION is not supported");
  // Without a lease each statement has its own connection: a BEGIN would be undone at once and what follows would commit by
  // itself. Better a clear error than atomicity that is only believed in.
  if (lease === undefined && controlsTransaction(keyword))
    throw brokerError(
      "db_unsupported",
      `${keyword.toUpperCase()} without a reserved connection: use sql.begin`,
    );
  return { text, params, keyword, paramBytes };
}

/** The first words of a statement in lower case. Empty statements, parentheses and comments do not count; anything else ends them. */
export function leadingWords(text: string, count: number): string[] {
  const words: string[] = [];
  for (let at = 0; at < text.length && words.length < count; ) {
    if (/[\s;(]/.test(text[at]!)) at++;
    else if (text.startsWith("--", at)) at = lineEnd(text, at);
    else if (text.startsWith("/*", at)) at = commentEnd(text, at);
    else {
      const word = /^[a-z_]+/i.exec(text.slice(at, at + 40))?.[0];
      words.push(word?.toLowerCase() ?? text[at]!);
      if (word === undefined) break;
      at += word.length;
    }
  }
  return words;
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

/** Throws for what is no parameter. */
function paramSize(param: QueryParam, depth: number): number {
  if (param === null) return 0;
  switch (typeof param) {
    case "boolean":
      return 1;
    case "string":
      return param.length;
    case "number":
      if (Number.isFinite(param)) return 8;
      break;
    case "object":
      if (Array.isArray(param)) {
        if (depth >= MAX_ARRAY_DEPTH) throw invalid("a parameter is nested too deeply");
        let size = 0;
        for (const element of param) size += paramSize(element, depth + 1);
        return size;
      }
      if ("$bytes" in param && typeof param.$bytes === "string") return param.$bytes.length;
      if ("$date" in param && typeof param.$date === "string") return param.$date.length;
      if ("$bigint" in param && typeof param.$bigint === "string" && /^-?\d+$/.test(param.$bigint))
        return param.$bigint.length;
  }
  throw invalid(
    "a parameter is neither null, boolean, number, string, bytes, date, bigint nor an array of them",
  );
}

const invalid = (message: string) => brokerError("db_invalid_request", message);
