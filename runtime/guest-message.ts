import {
  type CryptoCall,
  codings,
  type DecodeRequest,
  type FetchRequest,
  type GuestError,
  type HeaderList,
  type HostCall,
  type LogLine,
  ResponseFlag,
  type ResponseHead,
  responseHeadLines,
  type TranscodeOptions,
  type TranscodeRequest,
} from "./protocol.ts";

/** Longest JSON of each message, bytes: the host parses it on the thread that serves requests. */
export const messageLimits = {
  respond: 64 * 1024,
  fail: 128 * 1024,
  log: 128 * 1024,
  fetch: 64 * 1024,
  query: 1024 * 1024,
  crypto: 64 * 1024,
  call: 128 * 1024,
  transcode: 64 * 1024,
  number: 32,
} as const;

/**
 * A guest sent something that its library never sends: too long, no JSON, or of another shape. The guest library runs in the sandbox and
 * may be in the hands of the function, so that every field of every message is checked here, before anyone uses it.
 */
export class GuestMessageError extends Error {
  readonly code = "guest_message_invalid";
  constructor(kind: string) {
    super(`the sandbox sent a malformed message (${kind})`);
    this.name = "GuestMessageError";
  }
}

type Kind = keyof typeof messageLimits;

const decoder = new TextDecoder();

function parse(kind: Kind, text: Uint8Array): unknown {
  if (text.length > messageLimits[kind]) throw new GuestMessageError(kind);
  try {
    return JSON.parse(decoder.decode(text));
  } catch {
    throw new GuestMessageError(kind);
  }
}

/** What a list or an object takes in memory, bytes; in the text it may be two characters. */
const partBytes = 64;

/** Bytes that a message takes which was parsed: those of its text, and of the lists and objects in `values`. */
export function messageSize(text: Uint8Array, values: readonly unknown[]): number {
  let size = text.length;
  const rest = [...values];
  while (rest.length > 0) {
    const value = rest.pop();
    if (typeof value !== "object" || value === null) continue;
    size += partBytes;
    for (const inner of Object.values(value)) rest.push(inner);
  }
  return size;
}

type Fields = Record<string, unknown>;

function object(kind: Kind, value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new GuestMessageError(kind);
  return value as Fields;
}

function string(kind: Kind, value: unknown): string {
  if (typeof value !== "string") throw new GuestMessageError(kind);
  return value;
}

export function unsigned(kind: Kind, value: unknown, least = 0): number {
  const number = value as number;
  if (!Number.isInteger(value) || number < least || number > 0xffff_ffff) throw new GuestMessageError(kind);
  return number;
}

const decimal = (kind: Kind, text: string): number => unsigned(kind, text === "" ? undefined : Number(text));

const optionalString = (kind: Kind, value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : string(kind, value);

function headerList(kind: Kind, value: unknown): HeaderList {
  if (!Array.isArray(value)) throw new GuestMessageError(kind);
  for (const pair of value) {
    if (
      !Array.isArray(pair) ||
      pair.length !== 2 ||
      typeof pair[0] !== "string" ||
      typeof pair[1] !== "string"
    ) {
      throw new GuestMessageError(kind);
    }
  }
  return value;
}

/** Status, flags and status text, then names and values of the headers by turns, in lines. */
export function readResponseHead(text: Uint8Array): ResponseHead {
  if (text.length > messageLimits.respond) throw new GuestMessageError("respond");
  const lines = decoder.decode(text).split("\n");
  if (lines.length < responseHeadLines || (lines.length - responseHeadLines) % 2 !== 0)
    throw new GuestMessageError("respond");
  const flags = decimal("respond", lines[1]!);
  if (flags > (ResponseFlag.more | ResponseFlag.stream)) throw new GuestMessageError("respond");
  const headers: HeaderList = [];
  for (let i = responseHeadLines; i < lines.length; i += 2) headers.push([lines[i]!, lines[i + 1]!]);
  const head: ResponseHead = {
    status: decimal("respond", lines[0]!),
    headers,
    more: (flags & ResponseFlag.more) !== 0,
    stream: (flags & ResponseFlag.stream) !== 0,
  };
  if (lines[2] !== "") head.statusText = lines[2]!;
  return head;
}

export function readGuestError(text: Uint8Array): GuestError {
  const { name, message, stack, code } = object("fail", parse("fail", text));
  const error: GuestError = { name: string("fail", name), message: string("fail", message) };
  const shownStack = optionalString("fail", stack);
  if (shownStack !== undefined) error.stack = shownStack;
  const shownCode = optionalString("fail", code);
  if (shownCode !== undefined) error.code = shownCode;
  return error;
}

const levels = new Set(["debug", "info", "warn", "error"]);

export function readLogLine(text: Uint8Array): LogLine {
  const { level, message } = object("log", parse("log", text));
  if (!levels.has(level as string)) throw new GuestMessageError("log");
  return { level: level as LogLine["level"], message: string("log", message) };
}

const redirects = new Set(["follow", "manual", "error"]);

export function readFetchRequest(text: Uint8Array): FetchRequest {
  const { method, url, headers, redirect, hasBody, stream } = object("fetch", parse("fetch", text));
  if (!redirects.has(redirect as string)) throw new GuestMessageError("fetch");
  return {
    method: string("fetch", method),
    url: string("fetch", url),
    headers: headerList("fetch", headers),
    redirect: redirect as FetchRequest["redirect"],
    hasBody: hasBody === true,
    stream: stream === true,
  };
}

/** A decimal number: an operation's, or a delay. */
export function readNumber(text: Uint8Array): number {
  if (text.length > messageLimits.number) throw new GuestMessageError("number");
  return Number(decoder.decode(text));
}

/** Options of zlib that are numbers, and the guest's to choose; the sizes of pieces are not. */
export const transcodeNumbers = [
  "level",
  "windowBits",
  "memLevel",
  "strategy",
  "flush",
  "finishFlush",
] as const;

/** Whether the numbers are any that the coding knows is for zlib to say. */
export function readTranscodeRequest(text: Uint8Array): TranscodeRequest {
  const { coding, options: given } = object("transcode", parse("transcode", text));
  if (!codings.includes(coding as TranscodeRequest["coding"])) throw new GuestMessageError("transcode");
  const { params, dictionary, rejectGarbageAfterEnd, ...numbers } = object("transcode", given);
  const options: TranscodeOptions = { rejectGarbageAfterEnd: rejectGarbageAfterEnd === true };
  for (const name of transcodeNumbers)
    if (numbers[name] !== undefined) options[name] = integer("transcode", numbers[name]);
  const shownDictionary = optionalString("transcode", dictionary);
  if (shownDictionary !== undefined) options.dictionary = shownDictionary;
  if (params !== undefined) {
    const list = Object.entries(object("transcode", params));
    options.params = Object.fromEntries(list.map(([name, value]) => [name, integer("transcode", value)]));
  }
  return { coding: coding as TranscodeRequest["coding"], options };
}

function integer(kind: Kind, value: unknown): number {
  if (!Number.isInteger(value)) throw new GuestMessageError(kind);
  return value as number;
}

export function readCryptoCall(text: Uint8Array): CryptoCall {
  const { method, args } = object("crypto", parse("crypto", text));
  if (!Array.isArray(args)) throw new GuestMessageError("crypto");
  return { method: string("crypto", method), args };
}

/** The service checks its arguments. */
export function readHostCall(text: Uint8Array): HostCall {
  const call = parse("call", text);
  if (!Array.isArray(call) || typeof call[0] !== "string") throw new GuestMessageError("call");
  return call as HostCall;
}

export function readDecodeRequest(text: Uint8Array): DecodeRequest {
  const { id, encoding, fatal, ignoreBOM, stream, length } = object("crypto", parse("crypto", text));
  if (!Number.isInteger(id) || !Number.isInteger(length)) throw new GuestMessageError("crypto");
  return {
    id: id as number,
    encoding: string("crypto", encoding),
    fatal: fatal === true,
    ignoreBOM: ignoreBOM === true,
    stream: stream === true,
    length: length as number,
  };
}
