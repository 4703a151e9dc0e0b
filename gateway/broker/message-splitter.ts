/** Where the length of a message stands in it, and how the message's size follows from it. */
export interface Framing {
  headerBytes: number;
  /** Size of the whole message that begins at `at`, of which the header is there. May throw to refuse it before the rest is kept. */
  sizeAt(bytes: Buffer, at: number): number;
}

/** Cuts a stream of bytes into messages. Keeps what is incomplete, and copies it once, when the rest is there. */
export class MessageSplitter {
  readonly #framing: Framing;
  readonly #onMessage: (bytes: Buffer, start: number, end: number) => void;
  #parts: Buffer[] = [];
  #have = 0;
  #need: number;

  constructor(framing: Framing, onMessage: (bytes: Buffer, start: number, end: number) => void) {
    this.#framing = framing;
    this.#onMessage = onMessage;
    this.#need = framing.headerBytes;
  }

  /** Throws what `sizeAt` and `onMessage` throw; it is of no use any more then. */
  push(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#have += chunk.length;
    if (this.#have < this.#need) return;
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#have);
    let at = 0;
    for (;;) {
      this.#need = this.#framing.headerBytes;
      if (bytes.length - at < this.#need) break;
      this.#need = this.#framing.sizeAt(bytes, at);
      if (bytes.length - at < this.#need) break;
      this.#onMessage(bytes, at, at + this.#need);
      at += this.#need;
    }
    this.#have = bytes.length - at;
    this.#parts = this.#have > 0 ? [bytes.subarray(at)] : [];
  }
}
