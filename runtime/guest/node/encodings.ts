import { nodeError } from "./errors.ts";

export type Encoding = "utf8" | "latin1" | "ascii" | "utf16le" | "hex" | "base64" | "base64url";

const names: Record<string, Encoding> = {
  __proto__: null as never,
  utf8: "utf8",
  "utf-8": "utf8",
  latin1: "latin1",
  binary: "latin1",
  ascii: "ascii",
  ucs2: "utf16le",
  "ucs-2": "utf16le",
  utf16le: "utf16le",
  "utf-16le": "utf16le",
  hex: "hex",
  base64: "base64",
  base64url: "base64url",
};

export function encodingOf(name: unknown): Encoding | undefined {
  if (name === undefined || name === null || name === "") return "utf8";
  return names[String(name)] ?? names[String(name).toLowerCase()];
}

export function checkEncoding(name: unknown): Encoding {
  const encoding = encodingOf(name);
  if (encoding === undefined)
    throw nodeError(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${String(name)}`);
  return encoding;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Characters that one call of fromCharCode takes. */
const chunk = 4096;

export function toBytes(text: string, encoding: Encoding): Uint8Array<ArrayBuffer> {
  switch (encoding) {
    case "utf8":
      return encoder.encode(text);
    case "latin1":
    case "ascii": {
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
      return bytes;
    }
    case "utf16le": {
      const bytes = new Uint8Array(text.length * 2);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < text.length; i++) view.setUint16(i * 2, text.charCodeAt(i), true);
      return bytes;
    }
    case "hex": {
      const valid = /^(?:[0-9a-fA-F]{2})*/.exec(text)![0];
      return Uint8Array.fromHex(valid);
    }
    default:
      return fromBase64(text);
  }
}

/** As lenient as Node: both alphabets, anything else is skipped, and nothing counts after the padding. */
function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const end = text.indexOf("=");
  let digits = end < 0 ? text : text.slice(0, end);
  if (/[^A-Za-z0-9+/]/.test(digits)) {
    digits = digits
      .replaceAll("-", "+")
      .replaceAll("_", "/")
      .replace(/[^A-Za-z0-9+/]/g, "");
  }
  if (digits.length % 4 === 1) digits = digits.slice(0, -1);
  return Uint8Array.fromBase64(digits);
}

export function fromBytes(bytes: Uint8Array, encoding: Encoding): string {
  switch (encoding) {
    case "utf8":
      return decoder.decode(bytes);
    case "latin1":
      return fromUnits(bytes);
    case "ascii":
      return fromUnits(bytes.map((byte) => byte & 0x7f));
    case "utf16le": {
      const units = new Uint16Array(bytes.length >> 1);
      for (let i = 0; i < units.length; i++) units[i] = bytes[i * 2]! | (bytes[i * 2 + 1]! << 8);
      return fromUnits(units);
    }
    case "hex":
      return bytes.toHex();
    case "base64":
      return bytes.toBase64();
    default:
      return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  }
}

function fromUnits(units: Uint8Array | Uint16Array): string {
  let text = "";
  for (let i = 0; i < units.length; i += chunk)
    text += String.fromCharCode.apply(null, units.subarray(i, i + chunk) as unknown as number[]);
  return text;
}
