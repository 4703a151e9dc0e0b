import type { RequestHead } from "../protocol.ts";
import type { AbortSignal } from "./abort.ts";
import type { Content } from "./body.ts";
import { log } from "./console.ts";
import { waitUntil } from "./invocation.ts";
import { incomingRequest, type Request } from "./request.ts";
import { env } from "./variables.ts";

/** The last argument of every handler. */
export class Context {
  readonly requestId: string;
  readonly functionName: string;
  readonly version: number;
  #head: RequestHead;
  #body: Content;
  #request: Request | null = null;

  constructor(head: RequestHead, body: Content) {
    const { context } = head;
    this.requestId = context.requestId;
    this.functionName = context.functionName;
    this.version = context.version;
    this.#head = head;
    this.#body = body;
  }
  /** The HTTP request, for event-style handlers too. */
  get request(): Request {
    this.#request ??= incomingRequest(this.#head, this.#body);
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
