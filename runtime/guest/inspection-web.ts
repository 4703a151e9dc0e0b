/** Classes of the platform keep their state in private fields, so nothing would show: what does instead. */
const fields: Record<string, readonly string[]> = {
  AbortController: ["signal"],
  AbortSignal: ["aborted"],
  Blob: ["size", "type"],
  CryptoKey: ["type", "extractable", "algorithm", "usages"],
  Event: ["type", "defaultPrevented", "cancelable", "timeStamp"],
  File: ["size", "type", "name", "lastModified"],
  Request: ["method", "url", "headers", "destination", "referrer", "mode", "redirect", "bodyUsed"],
  Response: ["status", "statusText", "headers", "body", "bodyUsed", "ok", "redirected", "type", "url"],
  URL: [
    "href",
    "origin",
    "protocol",
    "username",
    "password",
    "host",
    "hostname",
    "port",
    "pathname",
    "search",
    "searchParams",
    "hash",
  ],
};

const classNamed = (name: string): unknown => Object.getOwnPropertyDescriptor(globalThis, name)?.value;

const isOf = (value: object, name: string): boolean => {
  const Class = classNamed(name);
  return typeof Class === "function" && value instanceof Class;
};

/** The values of an object of the platform, by name, or null. */
export function webFields(value: object, name: string): Record<string, unknown> | null {
  const own = fields[name];
  if (own === undefined || !isOf(value, name)) return null;
  return Object.fromEntries(own.map((field) => [field, (value as Record<string, unknown>)[field]]));
}

/** Those that are lists of pairs: how these are written. */
export function webPairs(value: object, name: string): { pairs: [string, unknown][]; sign: string } | null {
  if (!["Headers", "URLSearchParams", "FormData"].includes(name) || !isOf(value, name)) return null;
  const sign = name === "URLSearchParams" ? " =>" : ":";
  return { pairs: [...(value as Iterable<[string, unknown]>)], sign };
}
