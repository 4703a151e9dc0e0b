/**
 * Messages of the Postgres protocol 3.0 from client to server.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

const PROTOCOL_3_0 = 196_608;
const CANCEL_REQUEST = 80_877_102;

export const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);
export const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4]);
/** Of the unnamed statement: its parameters' types, then its columns. */
export const DESCRIBE_STATEMENT = Buffer.from([0x44, 0, 0, 0, 6, 0x53, 0]);
const DESCRIBE_PORTAL = Buffer.from([0x44, 0, 0, 0, 6, 0x50, 0]);

function message(type: string, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(`${part}\0`) : part)),
  );
  const head = Buffer.allocUnsafe(5);
  head.write(type, "latin1");
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export function startup(parameters: Record<string, string>): Buffer {
  const body = Buffer.from(`${Object.entries(parameters).flat().join("\0")}\0\0`);
  const head = Buffer.allocUnsafe(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.writeUInt32BE(PROTOCOL_3_0, 4);
  return Buffer.concat([head, body]);
}

/** For a connection of its own: stops what the session of that process and key is doing. */
export function cancelRequest(processId: number, key: Buffer): Buffer {
  const head = Buffer.allocUnsafe(12);
  head.writeUInt32BE(12 + key.length, 0);
  head.writeUInt32BE(CANCEL_REQUEST, 4);
  head.writeUInt32BE(processId, 8);
  return Buffer.concat([head, key]);
}

/** An answer to an authentication request: a password, or a part of a SASL exchange. */
export const password = (...parts: (Buffer | string)[]) => message("p", ...parts);

/** The simple protocol: any number of statements. For our own texts only. */
export const simple = (text: string) => message("Q", text);

/** The extended protocol, which takes one statement only. */
export const parse = (text: string) => message("P", "", text, Buffer.from([0, 0]));

/** Binds the unnamed statement, and runs it; with `maxRows`, the server stops after as many rows. */
export function execute(params: (string | null)[], { describe = false, maxRows = 0 } = {}): Buffer {
  const values: (Buffer | null)[] = params.map((param) => (param === null ? null : Buffer.from(param)));
  let size = 8;
  for (const value of values) size += 4 + (value?.length ?? 0);
  const bind = Buffer.allocUnsafe(size);
  bind.fill(0, 0, 4); // unnamed portal, unnamed statement, no parameter formats: text
  let at = bind.writeUInt16BE(values.length, 4);
  for (const value of values) {
    at = bind.writeInt32BE(value === null ? -1 : value.length, at);
    if (value !== null) at += value.copy(bind, at);
  }
  bind.writeUInt16BE(0, at); // no result formats: text
  const limit = Buffer.allocUnsafe(5);
  limit[0] = 0;
  limit.writeUInt32BE(maxRows, 1);
  return Buffer.concat([message("B", bind), ...(describe ? [DESCRIBE_PORTAL] : []), message("E", limit)]);
}

/** One of our own statements, without parameters and of whose result nothing is wanted. */
export const command = (text: string) => Buffer.concat([parse(text), execute([])]);
