import type { Inspection } from "./inspection-options.ts";
import { plain } from "./inspection-options.ts";
import { formatPrimitive } from "./inspection-text.ts";
import * as types from "./node/util-types.ts";

type AnyFunction = (...args: never[]) => unknown;

const isClass = (value: AnyFunction): boolean => {
  const text = Function.prototype.toString.call(value);
  if (!text.startsWith("class") || !text.endsWith("}")) return false;
  const head = text.slice(5, text.indexOf("{"));
  return !head.includes("(") || /^\s+[^(]*?\s*$/.test(head.replace(/\/\/.*?\n|\/\*[\s\S]*?\*\//g, ""));
};

/** How a function is called, and what it is an instance of. */
export function functionBase(given: object, name: string | null, tag: string): string {
  const value = given as AnyFunction;
  if (isClass(value)) return classBase(value, name, tag);
  const kind = `${types.isAsyncFunction(value) ? "Async" : ""}${types.isGeneratorFunction(value) ? "Generator" : ""}Function`;
  const called = value.name === "" ? " (anonymous)" : `: ${String(value.name)}`;
  let base = `[${kind}${name === null ? " (null prototype)" : ""}${called}]`;
  if (name !== kind && name !== null) base += ` ${name}`;
  if (tag !== "" && name !== tag) base += ` [${tag}]`;
  return base;
}

function classBase(value: AnyFunction, name: string | null, tag: string): string {
  let base = `class ${(Object.hasOwn(value, "name") && value.name) || "(anonymous)"}`;
  if (name !== "Function" && name !== null) base += ` [${name}]`;
  if (tag !== "" && name !== tag) base += ` [${tag}]`;
  const parent = (Object.getPrototypeOf(value) as { name?: string } | null)?.name;
  if (name === null) base += " extends [null prototype]";
  else if (parent) base += ` extends ${parent}`;
  return `[${base}]`;
}

const boxes = { Number, String, Boolean, BigInt, Symbol };

/** A primitive in an object. */
export function boxedBase(
  inspection: Inspection,
  value: object,
  name: string | null,
  tag: string,
): { base: string; style: string } {
  const [kind, Type] = Object.entries(boxes).find(([, each]) => value instanceof each)!;
  const primitive = Reflect.apply(Type.prototype.valueOf, value, []) as unknown;
  const owner = kind === name ? "" : name === null ? " (null prototype)" : ` (${name})`;
  const shown = formatPrimitive(inspection, primitive, plain);
  const base = `[${kind}${owner}: ${shown}]${tag !== "" && tag !== name ? ` [${tag}]` : ""}`;
  return { base, style: kind.toLowerCase() };
}
