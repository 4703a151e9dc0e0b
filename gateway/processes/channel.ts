import { z } from "zod";
import type { Handle } from "../listen.ts";
import type { Method, Methods } from "./protocol.ts";
import { decodeError, encodeError, wireErrorSchema } from "./remote-error.ts";

type ParamsOf<M> = M extends { params: z.ZodType<infer P> } ? P : never;
type ResultOf<M> = M extends { result: z.ZodType<infer R> } ? R : never;

export interface CallContext {
  /** Fires when the caller does not wait any more. */
  signal: AbortSignal;
  handle: Handle | undefined;
}

export type Handlers<T> = {
  [K in keyof T]: (params: ParamsOf<T[K]>, context: CallContext) => ResultOf<T[K]> | Promise<ResultOf<T[K]>>;
};

/** Messages to and from the other process. */
export interface Port {
  send(message: unknown, handle: Handle | undefined): void;
}

/** The other process is gone, or has been given up. */
export class ChannelClosedError extends Error {
  readonly code = "channel_closed";
  constructor(message: string) {
    super(message);
    this.name = "ChannelClosedError";
  }
}

const envelope = z.union([
  z.strictObject({ call: z.int(), method: z.string().max(100), params: z.unknown() }),
  z.strictObject({ tell: z.string().max(100), params: z.unknown() }),
  z.strictObject({ cancel: z.int() }),
  z.strictObject({ answer: z.int(), result: z.unknown() }),
  z.strictObject({ answer: z.int(), error: wireErrorSchema }),
]);

interface Pending {
  result: z.ZodType;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * Calls between two processes, both ways. Every message is checked against the protocol; one that does not fit is the end of the channel, told to
 * `onViolation`.
 */
export class Channel<Ours extends Methods, Theirs extends Methods> {
  readonly #port: Port;
  readonly #ours: Ours;
  readonly #theirs: Theirs;
  readonly #handlers: Handlers<Ours>;
  readonly #onViolation: (error: Error) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #serving = new Map<number, AbortController>();
  #lastCall = 0;
  #closed: Error | undefined;

  constructor(
    port: Port,
    methods: { ours: Ours; theirs: Theirs },
    handlers: Handlers<Ours>,
    onViolation: (error: Error) => void,
  ) {
    this.#port = port;
    this.#ours = methods.ours;
    this.#theirs = methods.theirs;
    this.#handlers = handlers;
    this.#onViolation = onViolation;
  }

  /** Asks. Rejects with the other side's error, with `signal`'s reason, or with a {@link ChannelClosedError}. */
  call<K extends keyof Theirs & string>(
    method: K,
    params: ParamsOf<Theirs[K]>,
    { signal, handle }: { signal?: AbortSignal; handle?: Handle | undefined } = {},
  ): Promise<ResultOf<Theirs[K]>> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const call = ++this.#lastCall;
    const { promise, resolve, reject } = Promise.withResolvers<ResultOf<Theirs[K]>>();
    const cancel = () => {
      this.#send({ cancel: call });
      this.#pending.delete(call);
      reject(signal?.reason);
    };
    const result = (this.#theirs[method] as Method<unknown, unknown>).result;
    this.#pending.set(call, { result, resolve: resolve as (value: unknown) => void, reject });
    signal?.addEventListener("abort", cancel, { once: true });
    this.#send({ call, method, params }, handle);
    return promise.finally(() => signal?.removeEventListener("abort", cancel));
  }

  /** Says, without waiting for an answer. */
  tell<K extends keyof Theirs & string>(method: K, params: ParamsOf<Theirs[K]>, handle?: Handle): void {
    this.#send({ tell: method, params }, handle);
  }

  /** Takes a message that has come. */
  receive(message: unknown, handle: Handle | undefined): void {
    try {
      this.#receive(envelope.parse(message), handle);
    } catch (error) {
      this.#onViolation(error as Error);
    }
  }

  /** The other process is gone: nothing is sent any more, and who waits for an answer gets this error. */
  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = new ChannelClosedError(reason);
    for (const pending of this.#pending.values()) pending.reject(this.#closed);
    this.#pending.clear();
    for (const serving of this.#serving.values()) serving.abort(this.#closed);
  }

  #send(message: z.infer<typeof envelope>, handle?: Handle): void {
    if (!this.#closed) this.#port.send(message, handle);
  }

  #receive(message: z.infer<typeof envelope>, handle: Handle | undefined): void {
    if ("tell" in message) {
      const { handler, params } = this.#handler(message.tell, message.params);
      // What is told has no answer: who has something done that fails, and does not ask, does not keep to the protocol.
      const context = { signal: new AbortController().signal, handle };
      void Promise.resolve(handler(params, context)).catch((error) => this.#onViolation(error as Error));
    } else if ("call" in message) {
      const { handler, params } = this.#handler(message.method, message.params);
      void this.#serve(message.call, handler, params, handle);
    } else if ("cancel" in message) {
      this.#serving.get(message.cancel)?.abort();
    } else {
      const pending = this.#pending.get(message.answer);
      if (!pending) return;
      if ("error" in message) pending.reject(decodeError(message.error));
      else pending.resolve(pending.result.parse(message.result));
      this.#pending.delete(message.answer);
    }
  }

  #handler(name: string, params: unknown) {
    if (!Object.hasOwn(this.#ours, name)) throw new Error(`there is no method ${JSON.stringify(name)}`);
    const handler = this.#handlers[name] as (params: unknown, context: CallContext) => unknown;
    return { handler, params: (this.#ours[name] as Method<unknown, unknown>).params.parse(params) };
  }

  async #serve(
    call: number,
    handler: (params: unknown, context: CallContext) => unknown,
    params: unknown,
    handle: Handle | undefined,
  ): Promise<void> {
    const controller = new AbortController();
    this.#serving.set(call, controller);
    try {
      const result = await handler(params, { signal: controller.signal, handle });
      this.#send({ answer: call, result });
    } catch (error) {
      this.#send({ answer: call, error: encodeError(error) });
    } finally {
      this.#serving.delete(call);
    }
  }
}
