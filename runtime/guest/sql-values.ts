import type { QueryParam } from "../protocol.ts";
import type { SqlOptions } from "./sql-options.ts";

const { isArray } = Array;
const { stringify } = JSON;

/** A parameter with a type of its own: `sql.json`, `sql.typed`, `sql.types.…`. */
export class Typed {
  readonly value: unknown;
  /** Its oid; undefined: JSON text, whatever the value is. */
  readonly type: number | undefined;
  constructor(value: unknown, type?: number) {
    this.value = value;
    this.type = type;
  }
}

/** Type oid of what has a serializer that the function may have replaced. */
const typeOf = (value: unknown): number | undefined =>
  value instanceof Date ? 1184 : ArrayBuffer.isView(value) ? 17 : typeof value === "bigint" ? 20 : undefined;

export function encodeParam(value: unknown, options: SqlOptions): QueryParam {
  if (value instanceof Typed) {
    if (value.type === undefined) return stringify(value.value);
    const serialize = options.serializers[value.type];
    return encodePlain(serialize ? serialize(value.value) : value.value, options);
  }
  const type = typeOf(value);
  const serialize = type === undefined ? undefined : options.serializers[type];
  return encodePlain(serialize ? serialize(value) : value, options);
}

function encodePlain(value: unknown, options: SqlOptions): QueryParam {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : `${value}`;
    case "bigint":
      return { $bigint: `${value}` };
    case "object":
      break;
    default: {
      if (value === undefined && options.transform.undefined !== undefined)
        return encodePlain(options.transform.undefined, options);
      const what = value === undefined ? "undefined; use null" : `a ${typeof value}`;
      throw Object.assign(new TypeError(`A query parameter cannot be ${what}`), { code: "UNDEFINED_VALUE" });
    }
  }
  if (value === null) return null;
  if (value instanceof Date) return { $date: value.toISOString() };
  if (value instanceof ArrayBuffer) return { $bytes: new Uint8Array(value).toBase64() };
  if (ArrayBuffer.isView(value))
    return { $bytes: new Uint8Array(value.buffer, value.byteOffset, value.byteLength).toBase64() };
  if (isArray(value)) return value.map((element) => encodeParam(element, options));
  return stringify(value);
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
