import { platform } from "./platform.ts";

type Write = (text: string) => unknown;
interface Options {
  stdout: { write: Write };
  stderr?: { write: Write };
}

/** A console that writes to streams of the function's own. */
export class Console {
  constructor(stdout: { write: Write } | Options, stderr?: { write: Write }) {
    const given = "stdout" in stdout ? stdout : { stdout, stderr };
    const out = given.stdout;
    const err = given.stderr ?? out;
    Object.assign(this, console);
    for (const name of ["log", "info", "debug", "dir", "table"]) this.#define(name, out);
    for (const name of ["warn", "error", "trace"]) this.#define(name, err);
  }
  #define(name: string, stream: { write: Write }): void {
    Object.assign(this, {
      [name]: (...values: unknown[]) => stream.write(`${platform.formatLine(values)}\n`),
    });
  }
}

const own = globalThis.console;
Object.assign(own, { Console });
export const {
  assert,
  count,
  countReset,
  debug,
  dir,
  dirxml,
  error,
  group,
  groupCollapsed,
  groupEnd,
  info,
  log,
  table,
  time,
  timeEnd,
  timeLog,
  trace,
  warn,
} = own;
export default own;
