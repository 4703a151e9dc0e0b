import type { ServerResponse } from "node:http";

export interface UnsentAnswersOptions {
  /** Bytes that may wait in this process for clients to take them. Default: 256 MiB. */
  maxBytes?: number;
  /** How long a client may take nothing, ms. Default: 30,000. */
  stallMs?: number;
}

/**
 * Answers on their way to clients, which may be slow, or never read. One that takes nothing for long is cut off, and when all that waits is
 * too much, those who have had longest, but never the last that came.
 */
export class UnsentAnswers {
  readonly #maxBytes: number;
  readonly #stallMs: number;
  /** In the order in which they came, with their bytes. */
  readonly #answers = new Map<ServerResponse, number>();
  #bytes = 0;

  constructor({ maxBytes = 256 * 1_048_576, stallMs = 30_000 }: UnsentAnswersOptions = {}) {
    this.#maxBytes = maxBytes;
    this.#stallMs = stallMs;
  }

  /** An answer that was handed to the connection, and is to be {@link remove}d when it closes. */
  add(answer: ServerResponse, bytes: number): void {
    this.#answers.set(answer, bytes);
    this.#bytes += bytes;
    answer.setTimeout(this.#stallMs, () => answer.destroy());
    for (const [oldest] of this.#answers) {
      if (this.#bytes <= this.#maxBytes || oldest === answer) break;
      this.remove(oldest);
      oldest.destroy();
    }
  }

  /** It has been sent, or its connection is gone. */
  remove(answer: ServerResponse): void {
    this.#bytes -= this.#answers.get(answer) ?? 0;
    this.#answers.delete(answer);
  }
}
