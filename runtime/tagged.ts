import { GuestMessageError } from "./guest-message.ts";

/**
 * Values that JSON cannot hold, beside one payload of bytes: `{ $bytes: [start, length] }` is a part of the payload,
 * `{ $key: data, $bytes: … }` a key.
 */
const maxDepth = 8;

/** @throws GuestMessageError for parts outside of the payload and for what is nested too deeply. */
export function decodeTagged(
  value: unknown,
  payload: Uint8Array,
  toKey: (data: unknown, material: Uint8Array<ArrayBuffer>) => unknown,
  depth = 0,
): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth > maxDepth) throw new GuestMessageError("crypto");
  const inner = (item: unknown) => decodeTagged(item, payload, toKey, depth + 1);
  if (Array.isArray(value)) return value.map(inner);
  const { $bytes, $key } = value as { $bytes?: unknown; $key?: unknown };
  if ($bytes !== undefined) {
    const bytes = slice(payload, $bytes);
    return $key === undefined ? bytes : toKey(inner($key), bytes);
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, inner(item)]));
}

function slice(payload: Uint8Array, range: unknown): Uint8Array<ArrayBuffer> {
  const [start, length] = Array.isArray(range) ? range : [];
  if (
    !Number.isInteger(start) ||
    !Number.isInteger(length) ||
    start < 0 ||
    length < 0 ||
    start + length > payload.length
  )
    throw new GuestMessageError("crypto");
  return payload.slice(start, start + length) as Uint8Array<ArrayBuffer>;
}

/** The other way: `$key` with `material` is a key. */
export function encodeTagged(value: unknown): { text: string; bytes: Uint8Array } {
  const parts: Uint8Array[] = [];
  let length = 0;
  const place = (bytes: Uint8Array) => {
    parts.push(bytes);
    length += bytes.length;
    return [length - bytes.length, bytes.length];
  };
  const encode = (item: unknown): unknown => {
    if (item instanceof ArrayBuffer) return { $bytes: place(new Uint8Array(item)) };
    if (item instanceof Uint8Array) return { $bytes: place(item) };
    if (typeof item !== "object" || item === null) return item;
    if (Array.isArray(item)) return item.map(encode);
    const { $key, material } = item as { $key?: unknown; material?: Uint8Array };
    if ($key !== undefined && material) return { $key: encode($key), $bytes: place(material) };
    return Object.fromEntries(Object.entries(item).map(([name, one]) => [name, encode(one)]));
  };
  const text = JSON.stringify(encode(value) ?? null);
  return { text, bytes: Buffer.concat(parts, length) };
}
