import { randomFillSync } from "node:crypto";
import { type FunctionLog, LogStream } from "../function-log.ts";
import { GuestEnded } from "../metered-execution.ts";
import type { Turns } from "../turns.ts";
import { Descriptors, input, openDirectory, output } from "./descriptors.ts";
import { Volume } from "./file-system.ts";
import type { WasiSystem } from "./system.ts";

/** What `/tmp` holds. */
const scratchLimits = { bytes: 16 * 1024 * 1024, entries: 4_096 } as const;
/** Longest sleep, ms: what fits a timer. */
const maxSleepMs = 0x7fff_ffff;
const msInNs = 1_000_000n;

export interface RequestSystemOptions {
  /** The first is the program's name. */
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  stdin: Uint8Array;
  files: Volume;
  /** Most bytes of output. */
  outputLimitBytes: number;
  log: FunctionLog;
  turns: Turns;
  /** Takes fuel for a call that handles so many bytes. */
  charge(bytes: number): void;
}

/** The WASI world of one request: its body, its files, its clock. */
export class RequestSystem implements WasiSystem {
  readonly args: readonly Uint8Array[];
  readonly env: readonly Uint8Array[];
  readonly descriptors: Descriptors;
  touched = false;
  /** What the guest gave to `proc_exit`. */
  exitCode: number | null = null;
  /** It wrote more than it may. */
  outputTooLarge = false;
  /** Times that it slept. */
  sleeps = 0;
  readonly #options: RequestSystemOptions;
  readonly #errors: LogStream;
  readonly #output: Uint8Array[] = [];
  #outputBytes = 0;
  readonly #began = Date.now();
  #now = this.#began;
  #wake: (() => void) | null = null;

  constructor(options: RequestSystemOptions) {
    this.#options = options;
    this.#errors = new LogStream(options.log, "info");
    const bytes = (texts: readonly string[]) => texts.map((text) => Buffer.from(text));
    this.args = bytes(options.args);
    this.env = bytes(Object.entries(options.env).map(([name, value]) => `${name}=${value}`));
    const { files } = options;
    const scratch = Volume.scratch(scratchLimits, this.now());
    this.descriptors = new Descriptors(
      input(options.stdin),
      output((part) => this.#write(part)),
      output((part) => this.#errors.write(part)),
      { ...openDirectory(files, files.root), preopened: "/" },
      { ...openDirectory(scratch, scratch.root), preopened: "/tmp" },
    );
  }

  /** Nothing that the guest does counts any more. */
  get over(): boolean {
    return this.exitCode !== null || this.outputTooLarge;
  }

  /** Everything that went to standard output. */
  output(): Uint8Array {
    return Buffer.concat(this.#output, this.#outputBytes);
  }

  /** The rest of what goes to the log. */
  flush(): void {
    this.#errors.end();
  }

  now(): bigint {
    return BigInt(this.#now) * msInNs;
  }

  uptime(): bigint {
    return BigInt(this.#now - this.#began + 1) * msInNs;
  }

  random(bytes: Uint8Array): void {
    randomFillSync(bytes);
  }

  charge(bytes: number): void {
    if (this.over) throw new GuestEnded();
    this.#options.charge(bytes);
  }

  sleep(ns: bigint): Promise<void> | undefined {
    const { turns } = this.#options;
    if (!turns.mayYield) return undefined;
    this.sleeps++;
    const ms = ns < BigInt(maxSleepMs) * msInNs ? Math.ceil(Number(ns) / 1e6) : maxSleepMs;
    const slept = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return turns.pause(slept).then(() => {
      this.#wake = null;
      this.#now = Date.now();
    });
  }

  /** Ends a sleep, when there is one. */
  wake(): void {
    this.#wake?.();
  }

  exit(code: number): never {
    this.exitCode = code;
    throw new GuestEnded();
  }

  #write(bytes: Uint8Array): void {
    this.#outputBytes += bytes.length;
    if (this.#outputBytes > this.#options.outputLimitBytes) {
      this.outputTooLarge = true;
      throw new GuestEnded();
    }
    this.#output.push(bytes.slice());
  }
}
