import { readFileSync } from "node:fs";
import { join } from "node:path";
import { styleText } from "node:util";
import { formatFindings } from "../../../compiler/code-frame.ts";
import type { Analysis } from "../../../compiler/types.ts";
import type { FunctionLogLine } from "../../function-logs.ts";
import { bytes, printable } from "../table.ts";

/** What the server logs about an execution. */
interface Execution {
  msg: string;
  level: number;
  requestId?: string;
  method?: string;
  path?: string;
  outcome?: string;
  status?: number;
  wallMs?: number;
  fuel?: number;
  memoryBytes?: number;
  code?: string;
  err?: { message?: string };
}

const WARN = 40;

/** What `thimble dev` shows: builds, requests, what the function logs, and where it fails. */
export class DevTerminal {
  readonly #write: (text: string) => void;
  readonly #folder: string;
  readonly #color: boolean;

  constructor(folder: string, out: { write(text: string): unknown; isTTY?: boolean }) {
    this.#write = (text) => void out.write(`${text}\n`);
    this.#folder = folder;
    this.#color = out.isTTY === true;
  }

  line(text: string): void {
    this.#write(text);
  }

  built(version: number, tookMs: number, analysis: Analysis): void {
    this.found(analysis);
    this.#write(
      `${this.#time()} ${this.#paint("green", "ready")} version ${version}, ${Math.round(tookMs)} ms after the change`,
    );
  }

  /** What the analysis says, if it says anything. */
  found({ findings }: Analysis): void {
    if (findings.length > 0) this.#write(formatFindings(findings, { color: this.#color }));
  }

  /** A build that failed; the version before goes on answering. */
  failed(error: unknown): void {
    const { message, analysis, findings } = error as Error & {
      analysis?: Analysis;
      findings?: Analysis["findings"];
    };
    const frames = formatFindings(analysis?.findings ?? findings ?? [], { color: this.#color });
    if (frames) this.#write(frames);
    this.#write(`${this.#time()} ${this.#paint("red", "failed")} ${printable(message)}`);
  }

  /** A line of the function's log; of an error that it threw, with the place in the source. */
  logged({ level, message }: FunctionLogLine): void {
    const tone = level === "error" ? "red" : level === "warn" ? "yellow" : "dim";
    const indented = printable(message).replaceAll("\n", "\n           ");
    this.#write(`${" ".repeat(9)}${this.#paint(tone, level.padEnd(5))} ${indented}`);
    if (level === "error") this.#frame(message);
  }

  /** A line of the server's log, as JSON. */
  server(json: string): void {
    const entry = JSON.parse(json) as Execution;
    if (entry.outcome !== undefined) this.#execution(entry);
    else if (entry.level >= WARN && entry.code !== undefined) {
      this.#write(`${this.#time()} ${this.#paint("yellow", entry.code)} ${printable(entry.msg)}`);
    } else if (entry.level > WARN) {
      this.#write(
        `${this.#time()} ${this.#paint("red", printable(entry.msg))} ${printable(entry.err?.message ?? "")}`,
      );
    }
  }

  #execution({ method, path, status, code, wallMs = 0, fuel = 0, memoryBytes = 0 }: Execution): void {
    const ended = status === undefined ? this.#paint("red", code ?? "gone") : String(status);
    const cost = `${wallMs.toFixed(1)} ms · fuel ${fuel.toLocaleString("en")} · ${bytes(memoryBytes)}`;
    this.#write(`${this.#time()} ${method} ${printable(path ?? "")} ${ended} ${this.#paint("dim", cost)}`);
  }

  /** The first place of a stack that lies in the function's own files. */
  #frame(stack: string): void {
    for (const [, file = "", line = "", column = ""] of stack.matchAll(/\(([^()\s]+):(\d+):(\d+)\)/g)) {
      const sourceLine = this.#sourceLine(file, Number(line));
      if (sourceLine === undefined) continue;
      const gutter = line;
      const blank = " ".repeat(gutter.length);
      const caret = sourceLine.slice(0, Number(column) - 1).replace(/[^\t]/g, " ");
      this.#write(
        [
          `${blank} --> ${this.#paint("cyan", `${file}:${line}:${column}`)}`,
          `${blank} |`,
          `${gutter} | ${printable(sourceLine)}`,
          `${blank} | ${caret}${this.#paint("red", "^")}`,
        ].join("\n"),
      );
      return;
    }
  }

  #sourceLine(file: string, line: number): string | undefined {
    if (file.startsWith("..") || file.startsWith("/") || file.includes("node_modules")) return undefined;
    try {
      return readFileSync(join(this.#folder, file), "utf8").split("\n")[line - 1];
    } catch {
      return undefined;
    }
  }

  #time(): string {
    return this.#paint("dim", new Date().toTimeString().slice(0, 8));
  }

  #paint(style: Parameters<typeof styleText>[0], text: string): string {
    return this.#color ? styleText(style, text, { validateStream: false }) : text;
  }
}
