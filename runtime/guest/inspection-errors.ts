import { prefixOf } from "./inspection-names.ts";
import type { Inspection } from "./inspection-options.ts";
import { stackOf } from "./stacks.ts";

const read = <T>(work: () => T): T | undefined => {
  try {
    return work();
  } catch {
    return undefined;
  }
};

/**
 * An error's stack with its class in front of it. Properties that this shows are taken from `keys`, those that it lacks are added.
 * `show` inspects a stack that is no text.
 */
export function formatError(
  error: Error,
  name: string | null,
  tag: string,
  inspection: Inspection,
  keys: PropertyKey[],
  show: (stack: unknown) => string,
): string {
  const head = read(() => Error.prototype.toString.call(error));
  if (head === undefined) return Object.prototype.toString.call(error);
  const stack = read(() => error.stack) as unknown;
  let text = head;
  if (typeof stack === "string" && stack !== "") text = withHead(stack, head, error);
  else if (stack) text = `${head}\n    ${show(stack)}`;

  const errorName = read(() => error.name) as unknown;
  const message = read(() => error.message) as unknown;
  const remove = (key: string) => {
    const index = keys.indexOf(key);
    if (index >= 0) keys.splice(index, 1);
  };
  if (!inspection.showHidden) {
    remove("stack");
    if (typeof message !== "string" || text.includes(message)) remove("message");
    if (typeof errorName !== "string" || text.includes(errorName)) remove("name");
  }
  if (Object.hasOwn(error, "cause") && !keys.includes("cause")) keys.push("cause");
  const errors = read(() => (error as AggregateError).errors) as unknown;
  if (Array.isArray(errors) && Object.hasOwn(error, "errors") && !keys.includes("errors"))
    keys.push("errors");

  text = withClass(text, name, typeof errorName === "string" ? errorName : "Error", tag);
  const end = typeof message === "string" && message !== "" ? text.indexOf(message) + message.length : 0;
  if (text.indexOf("\n    at", Math.max(end, 0)) < 0) text = `[${text}]`;
  return inspection.indentation === 0
    ? text
    : text.replaceAll("\n", `\n${" ".repeat(inspection.indentation)}`);
}

/** The engine's stacks are frames only. */
function withHead(stack: string, head: string, error: Error): string {
  if (!/^\s*at /.test(stack)) return stack;
  const frames = stackOf(error);
  return frames === "" ? head : `${head}\n${frames}`;
}

/** An error that is called after another class than its own says both. */
function withClass(text: string, name: string | null, errorName: string, tag: string): string {
  const begins = text.startsWith(errorName) && /^(?:$|[:\n])/.test(text.slice(errorName.length));
  if (name !== null && !(errorName.endsWith("Error") && begins)) return text;
  let fallback = "Error";
  let { length } = errorName;
  if (name === null) {
    const [, start = ""] =
      /^([A-Z][a-z_ A-Z0-9[\]()-]+)(?::|\n {4}at)/.exec(text) ?? /^([a-z_A-Z0-9-]*Error)$/.exec(text) ?? [];
    length = start.length;
    fallback = start || "Error";
  }
  const prefix = prefixOf(name, tag, fallback).slice(0, -1);
  if (prefix === errorName) return text;
  if (!prefix.includes(errorName)) return `${prefix} [${errorName}]${text.slice(length)}`;
  return length === 0 ? `${prefix}: ${text}` : prefix + text.slice(length);
}
