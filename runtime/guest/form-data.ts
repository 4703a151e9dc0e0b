import { Op } from "../protocol.ts";
import { Blob, type BlobPart, blobBytes, File } from "./blob.ts";
import { buildTimeError, host } from "./host.ts";
import { decodeText, encodeText } from "./primordials.ts";
import { concat } from "./stream.ts";
import { TextDecoder } from "./text-decoder.ts";
import { parseUrlencoded } from "./url.ts";

type Value = string | File;

export class FormData {
  #entries: [string, Value][] = [];

  constructor(form?: unknown) {
    if (form !== undefined) throw new TypeError("There are no HTML forms here");
  }
  append(name: string, value: unknown, filename?: string): void {
    this.#entries.push([`${name}`, toValue(value, filename)]);
  }
  set(name: string, value: unknown, filename?: string): void {
    const entry: [string, Value] = [`${name}`, toValue(value, filename)];
    const index = this.#entries.findIndex(([known]) => known === entry[0]);
    if (index === -1) this.#entries.push(entry);
    else
      this.#entries = this.#entries
        .filter(([known], i) => i <= index || known !== entry[0])
        .with(index, entry);
  }
  delete(name: string): void {
    this.#entries = this.#entries.filter(([known]) => known !== `${name}`);
  }
  get(name: string): Value | null {
    return this.#entries.find(([known]) => known === `${name}`)?.[1] ?? null;
  }
  getAll(name: string): Value[] {
    return this.#entries.filter(([known]) => known === `${name}`).map(([, value]) => value);
  }
  has(name: string): boolean {
    return this.#entries.some(([known]) => known === `${name}`);
  }
  forEach(callback: (value: Value, name: string, form: FormData) => void, thisArg?: unknown): void {
    for (const [name, value] of this.entries()) callback.call(thisArg, value, name, this);
  }
  *entries(): Generator<[string, Value]> {
    // by index: entries may come and go meanwhile
    for (let i = 0; i < this.#entries.length; i++) yield [...this.#entries[i]!];
  }
  *keys(): Generator<string> {
    for (const [name] of this.entries()) yield name;
  }
  *values(): Generator<Value> {
    for (const [, value] of this.entries()) yield value;
  }
  [Symbol.iterator](): Generator<[string, Value]> {
    return this.entries();
  }
}

function toValue(value: unknown, filename?: string): Value {
  if (!(value instanceof Blob)) return `${value}`;
  if (value instanceof File && filename === undefined) return value;
  const name = filename ?? (value instanceof File ? value.name : "blob");
  const { type } = value;
  const lastModified = value instanceof File ? { lastModified: value.lastModified } : {};
  return new File([value as BlobPart], name, { type, ...lastModified });
}

const escapeName = (name: string) =>
  name.replaceAll("\r", "%0D").replaceAll("\n", "%0A").replaceAll('"', "%22");

/** The body and its content type (RFC 7578). The boundary is random, so that no content can contain it. */
export function encodeMultipart(form: FormData): [body: Uint8Array<ArrayBuffer>, contentType: string] {
  const seed = new Uint8Array(16);
  if (host(Op.random, undefined, seed) < 0) throw buildTimeError("A FormData body");
  const boundary = `thimble-${seed.toHex()}`;
  const chunks: Uint8Array[] = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(name)}"`;
    if (typeof value === "string") chunks.push(encodeText(`${head}\r\n\r\n${value}\r\n`));
    else {
      const type = value.type || "application/octet-stream";
      chunks.push(
        encodeText(`${head}; filename="${escapeName(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`),
      );
      chunks.push(blobBytes(value), encodeText("\r\n"));
    }
  }
  chunks.push(encodeText(`--${boundary}--\r\n`));
  return [concat(chunks), `multipart/form-data; boundary=${boundary}`];
}

export function parseForm(bytes: Uint8Array, contentType: string): FormData {
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase();
  if (type === "application/x-www-form-urlencoded") {
    const form = new FormData();
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes as BufferSource);
    for (const [name, value] of parseUrlencoded(text)) form.append(name, value);
    return form;
  }
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType);
  if (type === "multipart/form-data" && boundary) return parseMultipart(bytes, (boundary[1] ?? boundary[2])!);
  throw new TypeError(`formData() cannot read a body of type "${contentType}"`);
}

function parseMultipart(bytes: Uint8Array, boundary: string): FormData {
  const form = new FormData();
  const delimiter = encodeText(`\r\n--${boundary}`);
  let position = find(bytes, delimiter.subarray(2), 0) - 2;
  while (position >= -2) {
    const start = position + delimiter.length;
    if (bytes[start] === 45 && bytes[start + 1] === 45) return form;
    const next = find(bytes, delimiter, start);
    if (next === -1) break;
    parsePart(form, bytes.subarray(start + 2, next));
    position = next;
  }
  throw new TypeError("The multipart body is incomplete");
}

function parsePart(form: FormData, part: Uint8Array): void {
  const gap = find(part, encodeText("\r\n\r\n"), 0);
  const head = decodeText(part.subarray(0, Math.max(gap, 0)));
  const name = /^content-disposition:.*?[;\s]name="([^"]*)"/im.exec(head)?.[1];
  if (gap === -1 || name === undefined) throw new TypeError("A part of the multipart body has no name");
  const content = part.subarray(gap + 4);
  const filename = /^content-disposition:.*?;\s*filename="([^"]*)"/im.exec(head)?.[1];
  if (filename === undefined) {
    form.append(unescapeName(name), decodeText(content));
    return;
  }
  const type = /^content-type:\s*(.*)$/im.exec(head)?.[1]?.trim() ?? "application/octet-stream";
  form.append(unescapeName(name), new File([content], unescapeName(filename), { type }));
}

const unescapeName = (name: string) =>
  name.replaceAll("%0D", "\r").replaceAll("%0A", "\n").replaceAll("%22", '"');

/** indexOf for bytes; the native search for the first byte does most of the work. */
function find(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  const first = wanted[0]!;
  for (let at = bytes.indexOf(first, from); at !== -1; at = bytes.indexOf(first, at + 1)) {
    let i = 1;
    while (i < wanted.length && bytes[at + i] === wanted[i]) i++;
    if (i === wanted.length) return at;
  }
  return -1;
}
