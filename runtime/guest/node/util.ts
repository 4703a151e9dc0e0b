import { deepEqual } from "./deep_equal.ts";
import { invalidType, nodeError, unsupported } from "./errors.ts";
import type { AnyFunction } from "./function_types.ts";
import { constants } from "./os.ts";
import { platform } from "./platform.ts";
import "./timers.ts";
import * as types from "./util-types.ts";

export { default as types } from "./util-types.ts";

type Callback = (error: unknown, value?: unknown) => void;

const customPromisify = Symbol.for("nodejs.util.promisify.custom");

export const {
  format,
  formatWithOptions,
  inspect,
  withoutColors: stripVTControlCharacters,
} = platform.inspection();

export function promisify(original: AnyFunction): AnyFunction {
  if (typeof original !== "function") throw invalidType("original", "function", original);
  const own = (original as unknown as Record<symbol, unknown>)[customPromisify];
  if (own !== undefined) {
    if (typeof own !== "function") throw invalidType("util.promisify.custom", "function", own);
    return own as AnyFunction;
  }
  function promisified(this: unknown, ...args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const done: Callback = (error, value) => (error ? reject(error) : resolve(value));
      Reflect.apply(original, this, [...args, done]);
    });
  }
  Object.setPrototypeOf(promisified, Object.getPrototypeOf(original));
  return Object.defineProperties(promisified, {
    ...Object.getOwnPropertyDescriptors(original),
    [customPromisify]: { value: promisified, configurable: true },
  });
}
promisify.custom = customPromisify;

export function callbackify(original: AnyFunction): AnyFunction {
  if (typeof original !== "function") throw invalidType("original", "function", original);
  return function (this: unknown, ...args: unknown[]) {
    const callback = args.pop() as Callback;
    if (typeof callback !== "function") throw invalidType("last argument", "function", callback);
    (Reflect.apply(original, this, args) as Promise<unknown>).then(
      (value) => process.nextTick(callback, null, value),
      (error) =>
        process.nextTick(
          callback,
          error ?? nodeError(Error, "ERR_FALSY_VALUE_REJECTION", "Promise was rejected with falsy value"),
        ),
    );
  };
}

export function inherits(child: AnyFunction, parent: AnyFunction): void {
  if (typeof child !== "function") throw invalidType("ctor", "function", child);
  if (typeof parent !== "function") throw invalidType("superCtor", "function", parent);
  Object.defineProperty(child, "super_", { value: parent, writable: true, configurable: true });
  Object.setPrototypeOf(child.prototype, parent.prototype);
}

const deprecated = new Set<string>();
export function deprecate<F extends AnyFunction>(work: F, message: string, code = message): F {
  function wrapped(this: unknown, ...args: unknown[]) {
    if (!deprecated.has(code)) {
      deprecated.add(code);
      platform.console.warn(`DeprecationWarning: ${message}`);
    }
    return new.target ? Reflect.construct(work, args, new.target) : Reflect.apply(work, this, args);
  }
  Object.setPrototypeOf(wrapped, work);
  if (work.prototype) wrapped.prototype = work.prototype;
  return wrapped as unknown as F;
}

export function debuglog(section: string) {
  const pattern = `${process.env.NODE_DEBUG ?? ""}`.split(",");
  const enabled = pattern.some((each) => each.toLowerCase() === section.toLowerCase());
  const write = (...values: unknown[]) => {
    if (enabled) platform.console.error(`${section.toUpperCase()} 1: ${platform.formatLine(values)}`);
  };
  return Object.assign(write, { enabled });
}
export const debug = debuglog;
export const log = (...values: unknown[]): void => platform.console.log(...values);
export const isDeepStrictEqual = (a: unknown, b: unknown): boolean => deepEqual(a, b, true);
export const toUSVString = (text: unknown): string => `${text}`.toWellFormed();
/** Nothing that a function writes to is a terminal. */
export function styleText(
  format: string | string[],
  text: string,
  { validateStream = true }: { validateStream?: boolean } = {},
): string {
  return [format].flat().reduceRight((shown, name) => {
    const color = inspect.colors[name];
    if (color === undefined && name !== "none")
      throw nodeError(
        TypeError,
        "ERR_INVALID_ARG_VALUE",
        `The argument 'format' must be one of: ${names()}. Received ${inspect(name)}`,
      );
    return color === undefined || validateStream ? shown : `\u001b[${color[0]}m${shown}\u001b[${color[1]}m`;
  }, text);
}
const names = (): string => ["none", ...Object.keys(inspect.colors)].map((name) => `'${name}'`).join(", ");
export const { TextDecoder, TextEncoder } = globalThis;
export const isArray = Array.isArray;
export const isError = (value: unknown): boolean => types.isNativeError(value);
export const _extend = Object.assign;

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
export function getSystemErrorName(code: number): string {
  return (
    Object.entries(constants.errno).find(([, number]) => number === -code)?.[0] ??
    `Unknown system error ${code}`
  );
}
export const transferableAbortController = () => new AbortController();
export const transferableAbortSignal = (signal: AbortSignal): AbortSignal => signal;

export function parseEnv(text: string): Record<string, string> {
  const line = /^\s*(?:export\s+)?([\w.-]+)\s*=\s*("(?:\\.|[^"\\])*"|'[^']*'|`[^`]*`|[^#\n]*)?.*$/gm;
  const values: Record<string, string> = {};
  for (const [, name, written = ""] of text.matchAll(line)) {
    const value = written.trim();
    const quote = /^(["'`])([\s\S]*)\1$/.exec(value);
    values[name!] = quote ? (quote[1] === '"' ? quote[2]!.replaceAll("\\n", "\n") : quote[2]!) : value;
  }
  return values;
}
export const parseArgs = unsupported("util", "parseArgs");
export const getCallSites = (): object[] => [];
export class MIMEType {
  readonly essence: string;
  readonly type: string;
  readonly subtype: string;
  readonly params = new Map<string, string>();
  constructor(text: string) {
    const [essence = "", ...parameters] = `${text}`.split(";").map((part) => part.trim());
    const [type, subtype] = essence.toLowerCase().split("/");
    if (!type || !subtype)
      throw nodeError(
        TypeError,
        "ERR_INVALID_MIME_SYNTAX",
        `The MIME syntax for a type in ${text} is invalid`,
      );
    this.essence = `${type}/${subtype}`;
    this.type = type;
    this.subtype = subtype;
    for (const parameter of parameters) {
      const [name, value] = parameter.split("=");
      if (name && value !== undefined) this.params.set(name.toLowerCase(), value.replace(/^"(.*)"$/, "$1"));
    }
  }
  toString(): string {
    return [this.essence, ...[...this.params].map(([name, value]) => `${name}=${value}`)].join(";");
  }
}
export default {
  MIMEType,
  TextDecoder,
  TextEncoder,
  _extend,
  aborted,
  callbackify,
  debug,
  debuglog,
  deprecate,
  format,
  formatWithOptions,
  getCallSites,
  getSystemErrorName,
  inherits,
  inspect,
  isArray,
  isDeepStrictEqual,
  isError,
  log,
  parseArgs,
  parseEnv,
  promisify,
  stripVTControlCharacters,
  styleText,
  toUSVString,
  transferableAbortController,
  transferableAbortSignal,
  types: types.default,
};
