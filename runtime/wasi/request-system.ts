import { randomFillSync } from "node:crypto";
import { type FunctionLog, LogStream } from "../function-log.ts";
import type { Turns } from "../turns.ts";
import { Descriptors, input, openDirectory, output } from "./descriptors.ts";
import { Volume } from "./file-system.ts";
import type { WasiSystem } from "./system.ts";

/** Price of a call in fuel: a base, and one unit for each 8 bytes. */
const callFuel = 1_000;
/** What `/tmp` holds. */
const scratchLimits = { bytes: 16 * 1024 * 1024, entries: 4_096 } as const;
/** Longest sleep, ms: what fits a timer. */
const maxSleepMs = 0x7fff_ffff;
const msInNs = 1_000_000n;

/** Thrown through a guest that is to end; its frames may catch it, but are stopped at their next check. */
export class GuestEnded {}

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
  /** Takes fuel. */
  charge(units: bigint): void;
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
    if (this.exitCode !== null || this.outputTooLarge) throw new GuestEnded();
    this.#options.charge(BigInt(callFuel + (bytes >>> 3)));
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
