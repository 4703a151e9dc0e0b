import ivm from "isolated-vm";
import { limits } from "./thimble.ts";

const timeout = limits.timeoutMs;

/** A V8 isolate of its own, and in it a script whose value is a function from text to text. */
export class VmIsolate {
  readonly #isolate = new ivm.Isolate({ memoryLimit: limits.memoryLimitBytes / 1024 / 1024 });
  readonly #script: ivm.Script;
  readonly #kept: ivm.Reference;

  constructor(script: string) {
    this.#script = this.#isolate.compileScriptSync(script);
    this.#kept = this.#script.runSync(this.#isolate.createContextSync(), { reference: true });
  }

  /** In a context made for this call. */
  runInNewContext(input: string): string {
    const context = this.#isolate.createContextSync();
    const handler: ivm.Reference = this.#script.runSync(context, { reference: true, timeout });
    const output = handler.applySync(undefined, [input], { timeout });
    handler.release();
    context.release();
    return output as string;
  }

  /** In the context that all calls share. */
  runInSharedContext(input: string): string {
    return this.#kept.applySync(undefined, [input], { timeout }) as string;
  }
}
