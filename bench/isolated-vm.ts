import ivm from "isolated-vm";
import { limits } from "./thimble.ts";

const timeout = limits.timeoutMs;

/** A V8 isolate of its own, and in it a script whose value is a function from text to text. */
export class VmIsolate {
  readonly #isolate = new ivm.Isolate({ memoryLimit: limits.memoryLimitBytes / 1024 / 1024 });
  readonly #script: ivm.Script;
  readonly #shared: ivm.Reference;

  constructor(script: string) {
    this.#script = this.#isolate.compileScriptSync(script);
    this.#shared = this.#script.runSync(this.#isolate.createContextSync(), { reference: true });
  }

  /** In a context made for this call, on this thread: while the handler runs, nothing else does. */
  runInNewContext(input: string): string {
    const context = this.#isolate.createContextSync();
    const handler: ivm.Reference = this.#script.runSync(context, { reference: true, timeout });
    const output = handler.applySync(undefined, [input], { timeout });
    handler.release();
    context.release();
    return output as string;
  }

  /** In a context made for this call, on a thread of the library's: this one goes on meanwhile. */
  async runInNewContextAsync(input: string): Promise<string> {
    const context = await this.#isolate.createContext();
    const handler: ivm.Reference = await this.#script.run(context, { reference: true, timeout });
    const output = await handler.apply(undefined, [input], { timeout });
    handler.release();
    context.release();
    return output as string;
  }

  /** In the context that all calls share, on this thread. */
  runInSharedContext(input: string): string {
    return this.#shared.applySync(undefined, [input], { timeout }) as string;
  }

  /** In the context that all calls share, on a thread of the library's. */
  async runInSharedContextAsync(input: string): Promise<string> {
    return (await this.#shared.apply(undefined, [input], { timeout })) as string;
  }
}
