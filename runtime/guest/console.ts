import type { LogLine } from "../protocol.ts";
import { Op } from "../protocol.ts";
import { host } from "./host.ts";
import { formatLine, inspect, inspection } from "./inspect.ts";
import type { InspectOptions } from "./inspection-options.ts";
import { stringifyJson } from "./primordials.ts";

const maxLineLength = 16_384;
let indent = "";
const counts: Record<string, number> = Object.create(null);
const timers: Record<string, number> = Object.create(null);

function write(level: LogLine["level"], values: unknown[]): void {
  let message = formatLine(values);
  if (indent !== "") message = indent + message.replaceAll("\n", `\n${indent}`);
  if (message.length > maxLineLength) message = `${message.slice(0, maxLineLength)}… (truncated)`;
  host(Op.log, stringifyJson({ level, message } satisfies LogLine));
}

function trace(...values: unknown[]): void {
  const { stack } = new Error();
  write("error", [`Trace: ${formatLine(values)}\n${stack}`]);
}

export const log = (...values: unknown[]): void => write("info", values);
const group = (...values: unknown[]): void => {
  if (values.length > 0) write("info", values);
  indent += "  ";
};

function elapsed(label: string, rest: unknown[]): void {
  const start = timers[label];
  if (start === undefined) write("warn", [`There is no timer "${label}"`]);
  else write("info", [`${label}: ${Date.now() - start}ms`, ...rest]);
}

/** As the console standard has it: a namespace, whose prototype is empty. */
export const console = Object.assign(Object.create({}) as object, {
  log,
  info: log,
  debug: (...values: unknown[]) => write("debug", values),
  warn: (...values: unknown[]) => write("warn", values),
  error: (...values: unknown[]) => write("error", values),
  trace,
  dir: (value: unknown, options?: InspectOptions) =>
    write("info", [inspect(value, { customInspect: false, ...options })]),
  dirxml: log,
  table: (value: unknown, properties?: readonly string[]) =>
    write("info", [inspection().formatTable(value, properties)]),
  assert: (condition?: unknown, ...values: unknown[]) => {
    if (condition) return;
    const [what, ...rest] = values;
    write("error", [`Assertion failed${values.length > 0 ? `: ${String(what)}` : ""}`, ...rest]);
  },
  group,
  groupCollapsed: group,
  groupEnd: () => {
    indent = indent.slice(2);
  },
  count: (label = "default") => {
    counts[label] = (counts[label] ?? 0) + 1;
    write("info", [`${label}: ${counts[label]}`]);
  },
  countReset: (label = "default") => {
    delete counts[label];
  },
  time: (label = "default") => {
    timers[label] = Date.now();
  },
  timeLog: (label = "default", ...rest: unknown[]) => elapsed(label, rest),
  timeEnd: (label = "default") => {
    elapsed(label, []);
    delete timers[label];
  },
});
Object.defineProperty(console, Symbol.toStringTag, { value: "console", configurable: true });
