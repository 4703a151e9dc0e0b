import type { QueryParam } from "../protocol.ts";
import { bytesOf } from "./blob.ts";
import { isArray, stringifyJson } from "./primordials.ts";

/** Marks a value that is sent as JSON text whatever it is: `sql.json(value)`. */
export class Json {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

export function encodeParam(value: unknown): QueryParam {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : `${value}`;
    case "bigint":
      return { $bigint: `${value}` };
    case "object":
      return encodeObject(value);
    default:
      throw new TypeError(
        `A query parameter cannot be ${value === undefined ? "undefined; use null" : `a ${typeof value}`}`,
      );
  }
}

function encodeObject(value: object | null): QueryParam {
  if (value === null) return null;
  if (value instanceof Date) return { $date: value.toISOString() };
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return { $bytes: bytesOf(value).toBase64() };
  if (isArray(value)) return value.map(encodeParam);
  return stringifyJson(value instanceof Json ? value.value : value);
}

export function decodeValue(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (isArray(value)) return value.map(decodeValue);
  const tagged = value as { $date?: string; $bytes?: string; $bigint?: string; $json?: unknown };
  if (tagged.$json !== undefined) return tagged.$json;
  if (tagged.$date !== undefined) return new Date(tagged.$date);
  if (tagged.$bigint !== undefined) return BigInt(tagged.$bigint);
  if (tagged.$bytes !== undefined) return Uint8Array.fromBase64(tagged.$bytes);
  return value;
}
