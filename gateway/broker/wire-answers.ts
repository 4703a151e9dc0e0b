import type { QueryResponse } from "../../runtime/protocol.ts";
import type { Framing } from "./message-splitter.ts";

/**
 * Messages of the Postgres protocol 3.0 from server to client.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export const Type = {
  authentication: 0x52,
  backendKeyData: 0x4b,
  bindComplete: 0x32,
  closeComplete: 0x33,
  commandComplete: 0x43,
  copyBoth: 0x57,
  copyIn: 0x47,
  copyOut: 0x48,
  dataRow: 0x44,
  emptyQuery: 0x49,
  error: 0x45,
  noData: 0x6e,
  notice: 0x4e,
  notification: 0x41,
  parameterDescription: 0x74,
  parameterStatus: 0x53,
  parseComplete: 0x31,
  portalSuspended: 0x73,
  readyForQuery: 0x5a,
  rowDescription: 0x54,
} as const;

/** Between statements: in no transaction, in one, or in one that failed. */
export type TransactionStatus = "I" | "T" | "E";

export type Columns = QueryResponse["columns"];

/** One byte of type, and a length that counts itself. */
export function framing(onSize: (type: number, bytes: number) => void): Framing {
  return {
    headerBytes: 5,
    sizeAt(bytes, at) {
      const length = bytes.readUInt32BE(at + 1);
      if (length < 4) throw new Error("malformed message of the server");
      onSize(bytes[at]!, length + 1);
      return length + 1;
    },
  };
}

function* strings(body: Buffer, at = 0): Generator<string> {
  while (at < body.length) {
    const end = body.indexOf(0, at);
    if (end < 0) throw new Error("malformed message of the server");
    yield body.toString("utf8", at, end);
    at = end + 1;
  }
}

export function readColumns(body: Buffer): Columns {
  const columns: Columns = [];
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const end = body.indexOf(0, at);
    columns.push({ name: body.toString("utf8", at, end), type: body.readUInt32BE(end + 7) });
    at = end + 19;
  }
  return columns;
}

export function readParameterTypes(body: Buffer): number[] {
  return Array.from({ length: body.readUInt16BE(0) }, (_, i) => body.readUInt32BE(2 + 4 * i));
}

/** "INSERT 0 3" → INSERT, 3; "CREATE TABLE" → CREATE TABLE, 0. */
export function readCommandTag(body: Buffer): { command: string; count: number } {
  const tag = body.toString("utf8", 0, body.length - 1);
  const match = /^(.*?)(?: \d+)? (\d+)$/.exec(tag);
  return match ? { command: match[1]!, count: Number(match[2]) } : { command: tag, count: 0 };
}

/** By the letters of https://www.postgresql.org/docs/current/protocol-error-fields.html */
export function readErrorFields(body: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  for (const text of strings(body)) if (text !== "") fields.set(text[0]!, text.slice(1));
  return fields;
}

export function readMechanisms(body: Buffer): string[] {
  return [...strings(body, 4)].filter(Boolean);
}
