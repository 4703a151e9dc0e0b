import { GuestMessageError, readHostCall } from "../guest-message.ts";
import { CallState, type HostCall, Refused } from "../protocol.ts";
import { HostError } from "../services.ts";
import { callCertificates } from "./certificates.ts";
import { Ciphers } from "./ciphers.ts";
import { Hashes } from "./hashes.ts";
import { callIntl } from "./intl.ts";
import { callKeys } from "./keys.ts";
import { Slots } from "./slots.ts";
import { slowServices } from "./slow-calls.ts";

/** Most bytes of one call's payload. */
const maxPayloadBytes = 16 * 1024 * 1024;
/** Most bytes that a call which is answered at once may bring: it runs on the thread that serves requests. */
const maxDirectBytes = 256 * 1024;
/** Slow calls of one invocation. */
const maxSlowCalls = 200;
/** Slow calls of the process at a time: the thread pool has other work too. */
const slowCalls = new Slots(2);

const nothing = new Uint8Array(0);
const encoder = new TextEncoder();

/** Calls that the guest waits for ({@link HostCall}): what is quick is done at once, the rest elsewhere while the guest is suspended. */
export class Calls {
  readonly #hashes = new Hashes();
  readonly #ciphers = new Ciphers();
  readonly #suspend: ((done: Promise<void>) => void) | null;
  #slowCalls = 0;
  #over = false;
  #state: number = CallState.pending;
  #result: Uint8Array = nothing;

  /** `suspend` lets the guest wait; without it there are no slow calls. */
  constructor(suspend: ((done: Promise<void>) => void) | null) {
    this.#suspend = suspend;
  }

  /** @throws GuestMessageError for a message that the guest library does not send. */
  call(text: Uint8Array, bytes: Uint8Array): number {
    const [service, ...args] = readHostCall(text);
    const slow = slowServices[service];
    if (slow === undefined) {
      if (bytes.length > maxDirectBytes) return Refused.tooLarge;
      return this.#settle(() => this.#direct([service, ...args], bytes));
    }
    if (this.#suspend === null) return Refused.building;
    if (bytes.length > maxPayloadBytes) return Refused.tooLarge;
    if (++this.#slowCalls > maxSlowCalls) return Refused.tooMany;
    this.#state = CallState.pending;
    const payload = bytes.slice();
    const done = slowCalls
      .run(async () => (this.#over ? nothing : slow(args, payload)))
      .then(
        (result) => this.#settle(() => result),
        (cause) =>
          this.#settle(() => {
            throw cause;
          }),
      );
    this.#suspend(done as unknown as Promise<void>);
    return CallState.pending;
  }

  result(): number {
    return this.#state;
  }

  take(bytes: Uint8Array): void {
    if (bytes.length !== this.#result.length) throw new GuestMessageError("number");
    bytes.set(this.#result);
    this.#result = nothing;
  }

  /** Nobody waits any more: what has not begun is not done. */
  [Symbol.dispose](): void {
    this.#over = true;
  }

  #direct([service, ...args]: HostCall, bytes: Uint8Array): Uint8Array {
    switch (service) {
      case "hash":
        return this.#hashes.call(args, bytes);
      case "cipher":
        return this.#ciphers.call(args, bytes);
      case "certificate":
        return callCertificates(args, bytes);
      case "key":
        return callKeys(args, bytes);
      case "intl":
        return callIntl(args);
      default:
        throw new GuestMessageError("call");
    }
  }

  #settle(work: () => Uint8Array): number {
    try {
      this.#result = work();
      this.#state = this.#result.length;
    } catch (cause) {
      if (cause instanceof GuestMessageError) throw cause;
      this.#result = encoder.encode(JSON.stringify(described(cause)));
      this.#state = CallState.failed - this.#result.length;
    }
    return this.#state;
  }
}

/** Errors of Node's own modules say what is wrong with the guest's arguments; their stacks and all others stay here. */
function described(cause: unknown): { name: string; message: string; code?: string } {
  const { name, message, code } = cause as Error & { code?: unknown };
  if (cause instanceof HostError) return { name, message, code: cause.code };
  const known = typeof code === "string" && /^(?:ERR_|Z_)/.test(code);
  // what OpenSSL says of a wrong key or tag has no code
  if (known || (cause instanceof Error && code === undefined))
    return { name, message, ...(known ? { code } : {}) };
  return { name: "Error", message: "the host could not do this", code: "host_error" };
}
