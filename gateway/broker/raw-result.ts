import type { QueryRequest, QueryResponse } from "../../runtime/protocol.ts";
import { decoderOf } from "./decode-value.ts";
import { Type } from "./wire-answers.ts";

/** A result as the server sent it; what it says is read where it is needed, not in the broker. */
export interface RawResult {
  columns: QueryResponse["columns"];
  command: string;
  count: number;
  rowCount: number;
  /** DataRow messages, one after the other. */
  rows: Buffer;
}

/** Throws a RangeError for rows that are none. */
export function decodeResult(
  { columns, command, count, rows }: Omit<RawResult, "rowCount">,
  textTypes: QueryRequest["textTypes"] = [],
): QueryResponse {
  const decoders = columns.map(({ type }) => decoderOf(type, textTypes));
  const decoded: unknown[][] = [];
  for (let at = 0; at < rows.length; ) {
    const end = at + 1 + rows.readUInt32BE(at + 1);
    if (rows[at] !== Type.dataRow || end > rows.length || rows.readUInt16BE(at + 5) !== columns.length)
      throw new RangeError("malformed row");
    at += 7;
    const row: unknown[] = [];
    for (const decode of decoders) {
      const length = rows.readInt32BE(at);
      at += 4;
      if (length < 0) row.push(null);
      else {
        if (at + length > end) throw new RangeError("malformed row");
        const text = rows.toString("utf8", at, at + length);
        row.push(decode ? decode(text) : text);
        at += length;
      }
    }
    if (at !== end) throw new RangeError("malformed row");
    decoded.push(row);
  }
  return { columns, rows: decoded, count, command };
}
