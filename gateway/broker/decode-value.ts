import { type ArrayText, parseArrayLiteral } from "./array-literal.ts";

type Decoder = (text: string) => unknown;

/** NaN and the infinities are no JSON: they stay text. */
const decodeFloat: Decoder = (text) => {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
};

const decodeBigint: Decoder = (text) => {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : { $bigint: text };
};

const TIMESTAMPTZ = /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d)(?::?(\d\d))?$/;

/** To ISO 8601, microseconds kept. Infinity, years BC and historic offsets with seconds stay text. */
const decodeTimestamptz: Decoder = (text) => {
  const match = TIMESTAMPTZ.exec(text);
  if (!match) return text;
  const [, day, time, hours, minutes = "00"] = match;
  const offset = Number(hours) === 0 && minutes === "00" ? "Z" : `${hours}:${minutes}`;
  return { $date: `${day}T${time}${offset}` };
};

const decodeDate: Decoder = (text) => (/^\d{4,6}-\d\d-\d\d$/.test(text) ? { $date: text } : text);

const decodeBytes: Decoder = (text) =>
  text.startsWith("\\x") ? { $bytes: Buffer.from(text.slice(2), "hex").toString("base64") } : text;

/** By type oid (pg_type.dat). What is not here, and its arrays, is text: numeric, uuid, timestamp, interval, enums, … */
const DECODERS: ReadonlyMap<number, Decoder> = new Map<number, Decoder>([
  [16, (text) => text === "t"],
  [17, decodeBytes],
  [20, decodeBigint],
  [21, Number],
  [23, Number],
  [26, Number],
  [114, (text) => ({ $json: JSON.parse(text) })],
  [700, decodeFloat],
  [701, decodeFloat],
  [1082, decodeDate],
  [1184, decodeTimestamptz],
  [3802, (text) => ({ $json: JSON.parse(text) })],
]);

/** Array type oid → element type oid; only arrays separated by commas. */
const ELEMENT_TYPES: ReadonlyMap<number, number> = new Map([
  [199, 114], // json
  [1000, 16], // bool
  [1001, 17], // bytea
  [1002, 18], // "char"
  [1003, 19], // name
  [1005, 21], // int2
  [1007, 23], // int4
  [1009, 25], // text
  [1014, 1042], // char(n)
  [1015, 1043], // varchar
  [1016, 20], // int8
  [1021, 700], // float4
  [1022, 701], // float8
  [1028, 26], // oid
  [1041, 869], // inet
  [1115, 1114], // timestamp
  [1182, 1082], // date
  [1183, 1083], // time
  [1185, 1184], // timestamptz
  [1187, 1186], // interval
  [1231, 1700], // numeric
  [2951, 2950], // uuid
  [3807, 3802], // jsonb
]);

/** How values of a type, in Postgres' text format, become what the protocol between host and guest writes; undefined: they stay text. */
export function decoderOf(type: number, textTypes: readonly number[] | "all" = []): Decoder | undefined {
  if (textTypes === "all" || textTypes.includes(type)) return undefined;
  const elementType = ELEMENT_TYPES.get(type);
  if (elementType === undefined) return DECODERS.get(type);
  const decode = decoderOf(elementType, textTypes);
  return (text) => decodeElements(parseArrayLiteral(text), decode);
}

function decodeElements(elements: ArrayText[], decode: Decoder | undefined): unknown[] {
  return elements.map((element) =>
    Array.isArray(element)
      ? decodeElements(element, decode)
      : element === null
        ? null
        : (decode?.(element) ?? element),
  );
}
