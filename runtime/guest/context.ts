import { HeadLine } from "../protocol.ts";
import type { AbortSignal } from "./abort.ts";
import { log } from "./console.ts";
import { headLine, type Incoming } from "./head.ts";
import { waitUntil } from "./invocation.ts";
import { incomingRequest, type Request } from "./request.ts";
import { env } from "./variables.ts";

/** The last argument of every handler. */
export class Context {
  readonly #incoming: Incoming;
  #request: Request | null = null;

  constructor(incoming: Incoming) {
    this.#incoming = incoming;
  }
  get requestId(): string {
    return headLine(this.#incoming, HeadLine.requestId);
  }
  get functionName(): string {
    return headLine(this.#incoming, HeadLine.functionName);
  }
  get version(): number {
    return +headLine(this.#incoming, HeadLine.version);
  }
  /** The HTTP request, for event-style handlers too. */
  get request(): Request {
    this.#request ??= incomingRequest(this.#incoming);
    return this.#request;
  }
  get signal(): AbortSignal {
    return this.request.signal;
  }
  get env(): Record<string, string> {
    return env;
  }
  get props(): Record<string, never> {
    return {};
  }
  /** Keeps the invocation going, within its time limit, until the promise has settled. */
  waitUntil(work: unknown): void {
    waitUntil(work);
  }
  passThroughOnException(): void {}
  log(...values: unknown[]): void {
    log(...values);
  }
}
