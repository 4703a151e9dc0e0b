import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Duplex } from "node:stream";
import { Worker } from "node:worker_threads";
import type { FromPgliteWorker, PgliteWorkerData, ToPgliteWorker } from "./pglite-worker.ts";

export interface PgliteOptions {
  dataDir: string;
  maxResultBytes: number;
  /** A statement that blocks the session for longer than this ends with it: the worker is killed and made anew. */
  maxBusyMs: number;
}

interface Exchange {
  messages: Uint8Array;
  onOutput(bytes: Uint8Array): void;
  resolve(): void;
  reject(error: Error): void;
}

const SYNC = new Uint8Array([0x53, 0, 0, 0, 4]);
const READY_FOR_QUERY = 0x5a;
const STARTUP_ANSWER = Buffer.from([
  ...[0x52, 0, 0, 0, 8, 0, 0, 0, 0], // AuthenticationOk
  ...[READY_FOR_QUERY, 0, 0, 0, 5, 0x49], // idle
]);

/** The embedded database as something that a Postgres driver can connect to, one connection after the other. */
export class PgliteHost {
  readonly #options: PgliteOptions;
  #worker: Promise<Worker> | null = null;
  #queue: Exchange[] = [];
  #busyTimer: NodeJS.Timeout | undefined;
  #ready = false;

  constructor(options: PgliteOptions) {
    this.#options = options;
  }

  /** Waits for what the session is still doing; starts the database at the first call. */
  async openSocket(signal: AbortSignal): Promise<Duplex> {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    const onAbort = () => reject(new Error("the embedded database is busy"));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([this.#settle(), promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    return this.#duplex();
  }

  /** Starts the database before it is needed, and makes it when it is not there yet. */
  async warm(): Promise<void> {
    await this.#settle();
  }

  async close(): Promise<void> {
    const worker = await this.#worker;
    if (!worker) return;
    const exited = new Promise((resolve) => worker.once("exit", resolve));
    worker.postMessage({ type: "close" } satisfies ToPgliteWorker);
    const timer = setTimeout(() => worker.terminate(), this.#options.maxBusyMs);
    await exited;
    clearTimeout(timer);
  }

  /**
   * Ends what the previous connection left unfinished, as it may have been given up between a message and its Sync. A
   * session that does not answer to it was broken by its last statement (COPY … TO PROGRAM does that) and is made anew.
   */
  async #settle(): Promise<void> {
    for (let attempt = 0; attempt < 2; attempt++) {
      let ready = false;
      const onOutput = (bytes: Uint8Array) => {
        ready ||= bytes.at(-6) === READY_FOR_QUERY;
      };
      await this.#exchange(SYNC, onOutput);
      if (ready) return;
      const worker = await this.#worker;
      await worker?.terminate();
    }
    throw new Error("the embedded database does not answer");
  }

  #duplex(): Duplex {
    let started = false;
    let idle: Promise<void> = Promise.resolve();
    const duplex: Duplex = new Duplex({
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        if (chunk[0] === 0x58) return done();
        if (!started) {
          started = true;
          // Later, since the driver loses what it writes while its own write call is still on the stack.
          setImmediate(() => duplex.push(STARTUP_ANSWER));
          return done();
        }
        idle = this.#exchange(new Uint8Array(chunk), (bytes) => duplex.push(Buffer.from(bytes)));
        idle.then(() => done(), done);
      },
      final: (done) => {
        idle.then(
          () => {
            duplex.push(null);
            done();
          },
          (error) => done(error),
        );
      },
    });
    return duplex;
  }

  #exchange(messages: Uint8Array, onOutput: (bytes: Uint8Array) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ messages, onOutput, resolve, reject });
      if (this.#queue.length === 1) this.#next();
    });
  }

  async #next(): Promise<void> {
    const exchange = this.#queue[0];
    if (!exchange) return;
    try {
      this.#worker ??= this.#start();
      const worker = await this.#worker;
      worker.postMessage({ type: "exchange", messages: exchange.messages } satisfies ToPgliteWorker);
      // Making the database takes a few seconds, which are no statement's fault.
      if (this.#ready) this.#busyTimer = setTimeout(() => worker.terminate(), this.#options.maxBusyMs);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  async #start(): Promise<Worker> {
    const { dataDir } = this.#options;
    await mkdir(dirname(dataDir), { recursive: true });
    if (!existsSync(join(dataDir, "PG_VERSION"))) await this.#make();
    const worker = this.#thread();
    worker.on("message", (message: FromPgliteWorker) => {
      const exchange = this.#queue[0];
      if (message.type === "output") return exchange?.onOutput(message.bytes);
      this.#ready = true;
      clearTimeout(this.#busyTimer);
      this.#queue.shift();
      exchange?.resolve();
      this.#next();
    });
    let cause: Error | undefined;
    worker.on("error", (error) => {
      cause = error instanceof Error ? error : new Error(String(error));
    });
    worker.on("exit", () => this.#fail(cause ?? new Error("the embedded database stopped")));
    return worker;
  }

  /** Makes the database in a thread that ends: what that takes, some 300 MB, goes with it. */
  async #make(): Promise<void> {
    const worker = this.#thread();
    worker.postMessage({ type: "close" } satisfies ToPgliteWorker);
    await once(worker, "exit");
  }

  #thread(): Worker {
    const { dataDir, maxResultBytes } = this.#options;
    const worker = new Worker(new URL("./pglite-worker.ts", import.meta.url), {
      workerData: { dataDir, maxOutputBytes: maxResultBytes } satisfies PgliteWorkerData,
    });
    // A worker alone shall not keep the process alive, but a statement under way shall: its deadline's timer does.
    worker.unref();
    return worker;
  }

  #fail(error: Error): void {
    clearTimeout(this.#busyTimer);
    this.#worker = null;
    this.#ready = false;
    const failed = this.#queue;
    this.#queue = [];
    for (const exchange of failed) exchange.reject(error);
  }
}
