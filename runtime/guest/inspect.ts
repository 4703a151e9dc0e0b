const maxItems = 100;
const maxDepth = 2;
const lineWidth = 76;
/** Node's: objects say themselves how they look. */
const customInspect = Symbol.for("nodejs.util.inspect.custom");
const identifier = /^[A-Za-z_$][\w$]*$/;

interface State {
  seen: object[];
  depth: number;
}

/** A readable picture of any value, in the manner of Node's util.inspect. Never throws. */
export function inspect(value: unknown, depth: number = maxDepth): string {
  try {
    return format(value, { seen: [], depth }, 0);
  } catch {
    return "[a value that cannot be inspected]";
  }
}

function quote(text: string): string {
  const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : "`";
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return mark + (mark === "'" ? escaped : escaped.replaceAll(mark, `\\${mark}`)) + mark;
}

function format(value: unknown, state: State, level: number): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "bigint":
      return `${value}n`;
    case "number":
      return Object.is(value, -0) ? "-0" : `${value}`;
    case "object":
      return value === null ? "null" : formatObject(value, state, level);
    case "function":
      return formatFunction(value);
    default:
      return String(value);
  }
}

function formatFunction(value: { name?: unknown }): string {
  const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "Function";
  return value.name ? `[${kind}: ${value.name}]` : `[${kind} (anonymous)]`;
}

function className(value: object): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null) return "[Object: null prototype]";
  const made = (prototype as { constructor?: unknown }).constructor;
  return typeof made === "function" && made.name ? made.name : "Object";
}

/** The stack without frames of this library, which is compiled without file names, and of built-ins. */
export function stackOf(error: Error): string {
  return `${error.stack ?? ""}`.replace(/^ *at .*\((<null>.*|native)\)\n?/gm, "").trimEnd();
}

export function formatError(error: Error): string {
  const head = `${error.name}: ${error.message}`;
  const stack = stackOf(error);
  return stack === "" ? head : `${head}\n${stack}`;
}

function formatObject(value: object, state: State, level: number): string {
  if (state.seen.includes(value)) return "[Circular]";
  if (value instanceof Date) return Number.isNaN(+value) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof Promise) return "Promise {}";
  const custom = (value as Record<symbol, unknown>)[customInspect];
  if (typeof custom === "function" && custom !== inspect) {
    const shown: unknown = custom.call(value, state.depth - level, {}, inspect);
    if (shown !== value) return typeof shown === "string" ? shown : format(shown, state, level);
  }
  const name = className(value);
  if (level > state.depth && !(value instanceof Error)) return Array.isArray(value) ? "[Array]" : `[${name}]`;
  state.seen.push(value);
  const text = formatContents(value, name, state, level);
  state.seen.pop();
  return text;
}

function formatContents(value: object, name: string, state: State, level: number): string {
  const child = (item: unknown) => format(item, state, level + 1);
  if (value instanceof Error) {
    const parts = ownProperties(value, child, ["name", "message", "stack", "cause"]);
    if (value.cause !== undefined) parts.push(`[cause]: ${child(value.cause)}`);
    return formatError(value) + (parts.length > 0 ? ` ${wrap("{", parts, "}", level)}` : "");
  }
  if (Array.isArray(value))
    return wrap("[", list(value, value.length, child), "]", level, name === "Array" ? "" : name);
  if (value instanceof Map) {
    const pairs = list(
      value,
      value.size,
      (pair) => `${child((pair as unknown[])[0])} => ${child((pair as unknown[])[1])}`,
    );
    return wrap("{", pairs, "}", level, `${name}(${value.size})`);
  }
  if (value instanceof Set)
    return wrap("{", list(value, value.size, child), "}", level, `${name}(${value.size})`);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    const items = value as Uint8Array;
    return wrap("[", list(items, items.length, child), "]", level, `${name}(${items.length})`);
  }
  if (value instanceof ArrayBuffer) return `${name} { byteLength: ${value.byteLength} }`;
  if (value instanceof Headers || value instanceof URLSearchParams || name === "FormData") {
    const pairs = list(
      value as Iterable<[string, unknown]>,
      0,
      ([key, item]) => `${quote(key)} => ${child(item)}`,
    );
    return wrap("{", pairs, "}", level, name);
  }
  if (value instanceof URL) return `URL { ${value.href} }`;
  const described = describeWeb(value, name);
  if (described !== undefined) return described;
  return wrap("{", ownProperties(value, child, []), "}", level, name === "Object" ? "" : name);
}

/** Classes of this library keep their state in private fields, so nothing would show. */
function describeWeb(value: object, name: string): string | undefined {
  const fields = {
    Request: ["method", "url"],
    Response: ["status", "statusText", "url"],
    Blob: ["size", "type"],
    File: ["name", "size", "type"],
    AbortSignal: ["aborted"],
  }[name];
  if (!fields) return undefined;
  const parts = fields.map(
    (field) => `${field}: ${format((value as Record<string, unknown>)[field], { seen: [], depth: 0 }, 0)}`,
  );
  return `${name} { ${parts.join(", ")} }`;
}

function list<T>(items: Iterable<T>, length: number, show: (item: T) => string): string[] {
  const parts: string[] = [];
  for (const item of items) {
    if (parts.length === maxItems) {
      parts.push(length > maxItems ? `... ${length - maxItems} more` : "...");
      break;
    }
    parts.push(show(item));
  }
  return parts;
}

function ownProperties(value: object, show: (item: unknown) => string, hidden: string[]): string[] {
  const keys = Object.keys(value).filter((key) => !hidden.includes(key));
  return list(keys, keys.length, (key) => {
    const property = Object.getOwnPropertyDescriptor(value, key)!;
    const label = identifier.test(key) ? key : quote(key);
    if (property.get) return `${label}: [Getter]`;
    return `${label}: ${show(property.value)}`;
  });
}

function wrap(open: string, parts: string[], close: string, level: number, prefix = ""): string {
  const head = prefix === "" ? open : `${prefix} ${open}`;
  if (parts.length === 0) return head + close;
  let width = head.length + level * 2;
  let multiline = false;
  for (const part of parts) {
    width += part.length + 2;
    multiline ||= part.includes("\n");
  }
  if (width <= lineWidth && !multiline) {
    return `${head} ${parts.join(", ")} ${close}`;
  }
  const indent = `\n${"  ".repeat(level + 1)}`;
  return `${head}${indent}${parts.join(`,${indent}`)}\n${"  ".repeat(level)}${close}`;
}
