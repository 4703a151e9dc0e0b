import type { LogLine } from "../protocol.ts";
import { Op } from "../protocol.ts";
import { host } from "./host.ts";
import { inspect } from "./inspect.ts";
import { stringifyJson } from "./primordials.ts";

const maxLineLength = 16_384;
let indent = "";
const counts: Record<string, number> = Object.create(null);
const timers: Record<string, number> = Object.create(null);

const show = (value: unknown) => (typeof value === "string" ? value : inspect(value));

/** printf-style, as the console standard and Node have it. */
export function formatLine(values: unknown[]): string {
  const [template] = values;
  if (typeof template !== "string") return values.map(show).join(" ");
  let used = 1;
  const text = template.replace(/%[sdifjoOc%]/g, (mark) => {
    if (mark === "%%") return "%";
    if (used >= values.length) return mark;
    return directive(mark, values[used++]);
  });
  return [text, ...values.slice(used).map(show)].join(" ");
}

function directive(mark: string, value: unknown): string {
  switch (mark) {
    case "%s":
      return typeof value === "object" && value !== null ? inspect(value, 0) : String(value);
    case "%d":
      return typeof value === "bigint"
        ? `${value}n`
        : `${typeof value === "object" ? Number.NaN : Number(value)}`;
    case "%i":
      return `${Number.parseInt(String(value), 10)}`;
    case "%f":
      return `${Number.parseFloat(String(value))}`;
    case "%j":
      try {
        return `${stringifyJson(value)}`;
      } catch {
        return "[Circular]";
      }
    case "%c":
      return "";
    default:
      return inspect(value, mark === "%o" ? 4 : 2);
  }
}

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
  dir: (value: unknown, options?: { depth?: number | null }) =>
    write("info", [inspect(value, options?.depth === null ? Number.POSITIVE_INFINITY : options?.depth)]),
  dirxml: log,
  table: (value: unknown) => write("info", [inspect(value)]),
  assert: (condition?: unknown, ...values: unknown[]) => {
    if (!condition) write("error", ["Assertion failed", ...values]);
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
