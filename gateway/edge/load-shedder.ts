import type { IncomingMessage } from "node:http";
import type { Admission } from "../admission.ts";
import { overloaded, type PlatformError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Registry } from "./registry.ts";

/**
 * What has come in at once may take the thread this long, ms; the rest is refused. So nobody waits much longer in the system's buffers,
 * where a request is not seen, and timers are not much later than that.
 */
const MAX_TURN_MS = 500;

/** With fewer requests than this it is something else that takes the time, and would not be mended by refusing them. */
const MANY_REQUESTS = 100;

const LOG_INTERVAL_MS = 1_000;

export interface LoadShedderDeps {
  registry: Registry;
  admission: Admission;
  metrics: Pick<Metrics, "refused">;
  log: Logger;
}

const overTurn = overloaded("The server has more requests than it can answer");

/** In the log, for names that are no functions'. */
const NO_FUNCTION = "(other)";

/**
 * Refuses requests before any work is done for them: those that admission would refuse anyway, and, when more comes in than can be
 * answered, those beyond what a turn of the event loop has time for.
 */
export class LoadShedder {
  readonly #deps: LoadShedderDeps;
  #turnBegan = 0;
  #inTurn = 0;
  #refused = 0;
  #loggedAt = 0;

  constructor(deps: LoadShedderDeps) {
    this.#deps = deps;
  }

  /** The error to answer with at once, if so. */
  refusal(request: IncomingMessage): PlatformError | undefined {
    const name = functionOf(request.url ?? "");
    if (name === undefined) return undefined;
    const live = this.#deps.registry.find(name)?.main;
    const error = this.#overTurn() ?? (live && this.#deps.admission.refusal(name, live.limits.concurrency));
    // a client can think of any number of names, and of long ones: only those of functions are counted
    if (error) this.#note(live && name, error);
    return error;
  }

  #overTurn(): PlatformError | undefined {
    const now = performance.now();
    if (this.#inTurn === 0) {
      this.#turnBegan = now;
      setImmediate(() => {
        this.#inTurn = 0;
      });
    }
    this.#inTurn++;
    if (this.#inTurn <= MANY_REQUESTS || now - this.#turnBegan < MAX_TURN_MS) return undefined;
    return overTurn;
  }

  /** One line a second at most: a line for each would cost as much as what it is about. */
  #note(name: string | undefined, error: PlatformError): void {
    const { metrics, log } = this.#deps;
    if (name !== undefined) metrics.refused(name, error.code);
    this.#refused++;
    const now = performance.now();
    if (now - this.#loggedAt < LOG_INTERVAL_MS) return;
    log.warn({ function: name ?? NO_FUNCTION, code: error.code, refused: this.#refused }, error.message);
    this.#loggedAt = now;
    this.#refused = 0;
  }
}

/** `/f/<name>…` → the name. */
function functionOf(url: string): string | undefined {
  if (!url.startsWith("/f/")) return undefined;
  let end = 3;
  while (end < url.length && url[end] !== "/" && url[end] !== "?") end++;
  return url.slice(3, end);
}
