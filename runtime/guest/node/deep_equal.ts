// biome-ignore lint/suspicious/noDoubleEquals: loose equality is what is asked for
export const looselyEqual = (a: unknown, b: unknown): boolean => a == b;

/** Whether two values are alike as `assert.deepStrictEqual` (strict) or `assert.deepEqual` say. */
export function deepEqual(a: unknown, b: unknown, strict: boolean): boolean {
  return compare(a, b, strict, []);
}

type Pair = readonly [object, object];

function compare(a: unknown, b: unknown, strict: boolean, seen: Pair[]): boolean {
  if (a === b) return a !== 0 || !strict || Object.is(a, b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    if (typeof a === "number" && typeof b === "number") return Number.isNaN(a) && Number.isNaN(b);
    return (
      !strict &&
      (a === null || typeof a !== "object") &&
      (b === null || typeof b !== "object") &&
      looselyEqual(a, b)
    );
  }
  if (strict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (Object.prototype.toString.call(a) !== Object.prototype.toString.call(b)) return false;
  if (seen.some(([x, y]) => x === a && y === b)) return true;
  const pairs: Pair[] = [...seen, [a, b]];
  return sameContent(a, b, strict, pairs) && sameProperties(a, b, strict, pairs);
}

function sameContent(a: object, b: object, strict: boolean, seen: Pair[]): boolean {
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length;
  if (Array.isArray(b)) return false;
  if (a instanceof Date) return b instanceof Date && Object.is(a.getTime(), b.getTime());
  if (a instanceof RegExp)
    return b instanceof RegExp && String(a) === String(b) && a.lastIndex === b.lastIndex;
  if (a instanceof Error)
    return (
      b instanceof Error &&
      a.message === b.message &&
      a.name === b.name &&
      compare(a.cause, b.cause, strict, seen)
    );
  if (
    a instanceof Number ||
    a instanceof String ||
    a instanceof Boolean ||
    a instanceof BigInt ||
    a instanceof Symbol
  )
    return Object.is(a.valueOf(), (b as typeof a).valueOf());
  if (ArrayBuffer.isView(a)) return ArrayBuffer.isView(b) && sameBytes(a, b);
  if (a instanceof ArrayBuffer)
    return b instanceof ArrayBuffer && sameBytes(new Uint8Array(a), new Uint8Array(b));
  if (a instanceof Set) return b instanceof Set && sameSets(a, b, strict, seen);
  if (a instanceof Map) return b instanceof Map && sameMaps(a, b, strict, seen);
  return !(a instanceof WeakMap || a instanceof WeakSet || a instanceof Promise);
}

function sameBytes(a: ArrayBufferView, b: ArrayBufferView): boolean {
  if (a.byteLength !== b.byteLength) return false;
  const [x, y] = [a, b].map(
    ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
  ) as [Uint8Array, Uint8Array];
  return x.every((byte, i) => byte === y[i]);
}

function sameSets(a: Set<unknown>, b: Set<unknown>, strict: boolean, seen: Pair[]): boolean {
  if (a.size !== b.size) return false;
  const rest = [...b].filter((item) => !a.has(item));
  for (const item of a) {
    if (b.has(item)) continue;
    const index = rest.findIndex((other) => compare(item, other, strict, seen));
    if (index < 0) return false;
    rest.splice(index, 1);
  }
  return true;
}

function sameMaps(
  a: Map<unknown, unknown>,
  b: Map<unknown, unknown>,
  strict: boolean,
  seen: Pair[],
): boolean {
  if (a.size !== b.size) return false;
  const rest = [...b].filter(([key]) => !a.has(key));
  for (const [key, value] of a) {
    if (b.has(key)) {
      if (!compare(value, b.get(key), strict, seen)) return false;
      continue;
    }
    const index = rest.findIndex(
      ([k, v]) => compare(key, k, strict, seen) && compare(value, v, strict, seen),
    );
    if (index < 0) return false;
    rest.splice(index, 1);
  }
  return true;
}

function sameProperties(a: object, b: object, strict: boolean, seen: Pair[]): boolean {
  if (ArrayBuffer.isView(a)) return true;
  const keys = propertiesOf(a, strict);
  if (keys.length !== propertiesOf(b, strict).length) return false;
  return keys.every(
    (key) =>
      Object.prototype.propertyIsEnumerable.call(b, key) &&
      compare(
        (a as Record<PropertyKey, unknown>)[key],
        (b as Record<PropertyKey, unknown>)[key],
        strict,
        seen,
      ),
  );
}

function propertiesOf(value: object, strict: boolean): PropertyKey[] {
  const keys: PropertyKey[] = Object.keys(value);
  if (!strict) return keys;
  return [
    ...keys,
    ...Object.getOwnPropertySymbols(value).filter((key) =>
      Object.prototype.propertyIsEnumerable.call(value, key),
    ),
  ];
}
