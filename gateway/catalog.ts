import { type Config, type FunctionLimits, lowerLimits } from "./config.ts";
import { PlatformError } from "./errors.ts";
import type { FunctionStore } from "./store/functions.ts";
import type { StoredFunction } from "./store/read-functions.ts";

/** What is deployed, with the limits in force: the server's, lowered by the function's own. */
export interface DeployedFunction extends StoredFunction {
  limits: FunctionLimits;
}

/** All functions by name, as they are stored: what the admin side shows, and what is published to those who run them. */
export class Catalog {
  readonly #limits: Config["limits"];
  readonly #functions = new Map<string, DeployedFunction>();

  constructor(limits: Config["limits"]) {
    this.#limits = limits;
  }

  async load(store: Pick<FunctionStore, "list">): Promise<void> {
    for (const stored of await store.list()) this.put(stored);
  }

  get size(): number {
    return this.#functions.size;
  }

  find(name: string): DeployedFunction | undefined {
    return this.#functions.get(name);
  }

  /** Throws `function_not_found`. */
  get(name: string): DeployedFunction {
    const found = this.find(name);
    if (!found) throw new PlatformError("function_not_found", `There is no function ${JSON.stringify(name)}`);
    return found;
  }

  /** By name. */
  list(): DeployedFunction[] {
    return [...this.#functions.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  put(stored: StoredFunction): DeployedFunction {
    const deployed = { ...stored, limits: lowerLimits(this.#limits, stored.config) };
    this.#functions.set(stored.name, deployed);
    return deployed;
  }

  remove(name: string): void {
    this.#functions.delete(name);
  }
}
