import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Finding } from "./examine.ts";

/** For a module as it is, and for all that is done with it then. */
const plainTimeLimit = 5_000;
const timeLimit = 60_000;
/** Metered frames are larger: there has to be room for all turns that a module allows itself. */
const stackSizeMb = 32;

/** Examines seeds in a thread with a large stack, which is given up when a module does not end. */
export class Examiner {
  readonly #directory = mkdtempSync(join(tmpdir(), "wasm-fuzz-"));
  #worker: Worker | undefined;

  async examine(seed: number): Promise<Finding> {
    this.#worker ??= new Worker(new URL("./worker.ts", import.meta.url), {
      workerData: this.#directory,
      resourceLimits: { stackSizeMb },
    });
    const worker = this.#worker;
    const { promise, resolve } = Promise.withResolvers<Finding>();
    let timer = setTimeout(() => resolve({ seed, endless: true }), plainTimeLimit);
    const told = (message: Finding | "ends"): void => {
      clearTimeout(timer);
      if (message !== "ends") {
        resolve(message);
        return;
      }
      timer = setTimeout(() => resolve({ seed, error: `not done in ${timeLimit} ms` }), timeLimit);
    };
    const failed = (error: unknown): void => resolve({ seed, error: String(error) });
    worker.on("message", told).once("error", failed);
    worker.postMessage(seed);
    const finding = await promise;
    clearTimeout(timer);
    worker.off("message", told).off("error", failed);
    if (finding.error !== undefined || finding.endless) {
      this.#worker = undefined;
      await worker.terminate();
    }
    return finding;
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
    rmSync(this.#directory, { recursive: true });
  }
}
