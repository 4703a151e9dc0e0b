import { type Cancellation, CancellationSource } from "../runtime/cancellation.ts";
import { PlatformError } from "./errors.ts";

/**
 * One request from its arrival to its answer: a signal that fires when the client goes away or, before the execution, when the
 * request's whole time is used up (R7). Lives until the answer's body has ended.
 */
export class RequestScope {
  readonly #source = new CancellationSource();
  readonly #timeoutMs: number;
  readonly #endsAt: number;
  readonly #open: Set<RequestScope>;
  #expired = false;
  #failure: PlatformError | undefined;

  /** It is among the `open` ones until it is disposed of. */
  constructor(timeoutMs: number, open: Set<RequestScope>) {
    open.add(this);
    this.#open = open;
    this.#timeoutMs = timeoutMs;
    this.#endsAt = performance.now() + timeoutMs;
  }

  get signal(): Cancellation {
    return this.#source;
  }

  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  clientGone(): void {
    this.#source.abort();
  }

  /** Waits for something that is to be had within the request's time: when that is over, the signal fires. */
  async within<T>(something: Promise<T>): Promise<T> {
    const timer = setTimeout(
      () => {
        this.#expired = true;
        this.#source.abort();
      },
      Math.max(0, this.#endsAt - performance.now()),
    );
    try {
      return await something;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The rest of the time, for the execution, whose own deadline enforces it from here on; in whole ms, at least 1. */
  handOver(): number {
    return Math.max(1, Math.ceil(this.#endsAt - performance.now()));
  }

  /** Ends the request with an error, in whatever state it is. */
  end(error: PlatformError): void {
    this.#failure ??= error;
    this.#source.abort();
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
  }
}
