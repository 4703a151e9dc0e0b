import { PlatformError } from "./errors.ts";

/**
 * One request from its arrival to its answer: an abort signal that fires when the client goes away or, before the
 * execution, when the request's whole time is used up (R7). Lives until the answer's body has ended.
 */
export class RequestScope {
  readonly #controller = new AbortController();
  readonly #timeoutMs: number;
  readonly #endsAt: number;
  readonly #client: AbortSignal | undefined;
  readonly #open: Set<RequestScope>;
  #timer: NodeJS.Timeout | undefined;
  #expired = false;
  #failure: PlatformError | undefined;

  /** It is among the `open` ones until it is disposed of. */
  constructor(timeoutMs: number, client: AbortSignal | undefined, open: Set<RequestScope>) {
    open.add(this);
    this.#open = open;
    this.#timeoutMs = timeoutMs;
    this.#endsAt = performance.now() + timeoutMs;
    this.#client = client;
    this.#timer = setTimeout(() => {
      this.#expired = true;
      this.#controller.abort();
    }, timeoutMs);
    if (client?.aborted) this.#controller.abort();
    else client?.addEventListener("abort", this.#onClientGone, { once: true });
  }

  readonly #onClientGone = () => this.#controller.abort();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /**
   * Hands the rest of the time over to the execution, whose own deadline enforces it from here on; returns it in whole
   * ms, at least 1.
   */
  handOver(): number {
    clearTimeout(this.#timer);
    return Math.max(1, Math.ceil(this.#endsAt - performance.now()));
  }

  /** Ends the request with an error, in whatever state it is. */
  end(error: PlatformError): void {
    this.#failure ??= error;
    this.#controller.abort();
  }

  /** Why the signal fired, as the error that the request ends with. */
  error(): PlatformError {
    if (this.#failure) return this.#failure;
    return this.#expired
      ? new PlatformError("execution_timeout", `Request timed out after ${this.#timeoutMs} ms`)
      : new PlatformError("client_closed", "The client went away");
  }

  [Symbol.dispose](): void {
    this.#open.delete(this);
    clearTimeout(this.#timer);
    this.#client?.removeEventListener("abort", this.#onClientGone);
  }
}
