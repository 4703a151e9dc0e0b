import type { QueryParam } from "../../runtime/protocol.ts";

const JSON_TYPES = new Set([114, 3802]);

/**
 * A parameter in Postgres' text format, for the type that the server inferred.
 *
 * An array becomes an array literal, or JSON where the statement wants json or jsonb. A string is passed as it is
 * to every type: for json it must already be JSON text (this is what drizzle-orm and `sql.json` send).
 */
export function encodeParam(param: QueryParam, type: number): string | null {
  if (param === null) return null;
  if (Array.isArray(param)) return JSON_TYPES.has(type) ? JSON.stringify(toJson(param)) : arrayLiteral(param);
  return encodeScalar(param);
}

type Scalar = Exclude<QueryParam, null | QueryParam[]>;

function encodeScalar(param: Scalar): string {
  if (typeof param !== "object") return String(param);
  if ("$bytes" in param) return `\\x${Buffer.from(param.$bytes, "base64").toString("hex")}`;
  return "$date" in param ? param.$date : param.$bigint;
}

function arrayLiteral(elements: QueryParam[]): string {
  return `{${elements.map(arrayElement).join(",")}}`;
}

function arrayElement(element: QueryParam): string {
  if (element === null) return "NULL";
  if (Array.isArray(element)) return arrayLiteral(element);
  return `"${encodeScalar(element).replace(/["\\]/g, "\\$&")}"`;
}

function toJson(param: QueryParam): unknown {
  if (Array.isArray(param)) return param.map(toJson);
  return param !== null && typeof param === "object" ? encodeScalar(param) : param;
}
