import type { Duplex } from "node:stream";
import { MessageSplitter } from "./message-splitter.ts";

/**
 * Frames between the broker and whoever queries through it: length of the rest (u32, big-endian), kind (u8), number (u32),
 * length of a JSON head (u32), the head, and bytes to the end.
 */
export interface Frame {
  kind: number;
  /** Whom it is about: a query, or a session. */
  id: number;
  /** Parsed JSON; undefined when there is none. */
  head: unknown;
  bytes: Buffer;
  /** Of the whole frame. */
  size: number;
}

/** Client → broker. */
export const Ask = {
  /** id: a new session. head: whose it is. */
  open: 1,
  /** id: a new query. head: the session and the statement. */
  query: 2,
  /** id: the query that nobody waits for any more; no answer follows. */
  cancel: 3,
  /** id: the session. head: number of the lease that ends. */
  release: 4,
  /** id: the session. Ends it with all that it holds. */
  close: 5,
  /** id: a new question for the pool's figures. */
  stats: 6,
} as const;

/** Broker → client; id is that of the question. */
export const Answer = { result: 1, error: 2, stats: 3 } as const;

/** Largest frame that a broker takes: more than the largest query that a sandbox may send. */
export const MAX_ASK_BYTES = 4 * 1024 * 1024;
/** Longest length that follows a frame's own length field. */
const FIXED_BYTES = 9;

/** What came is no frame, or no frame that may come here: the connection is of no use any more. */
export class FrameError extends Error {
  readonly code = "frame_invalid";
  constructor(what: string) {
    super(`malformed frame (${what})`);
    this.name = "FrameError";
  }
}

export function encodeFrame(kind: number, id: number, head?: unknown, bytes?: Uint8Array): Buffer {
  const text = head === undefined ? "" : JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(4 + FIXED_BYTES + headBytes + (bytes?.length ?? 0));
  frame.writeUInt32BE(frame.length - 4, 0);
  frame[4] = kind;
  frame.writeUInt32BE(id, 5);
  frame.writeUInt32BE(headBytes, 9);
  frame.write(text, 13);
  if (bytes) frame.set(bytes, 13 + headBytes);
  return frame;
}

function decodeFrame(frame: Buffer): Frame {
  const headBytes = frame.readUInt32BE(9);
  if (headBytes > frame.length - 13) throw new FrameError("head");
  let head: unknown;
  if (headBytes > 0) {
    try {
      head = JSON.parse(frame.toString("utf8", 13, 13 + headBytes));
    } catch {
      throw new FrameError("JSON");
    }
  }
  return {
    kind: frame[4]!,
    id: frame.readUInt32BE(5),
    head,
    bytes: frame.subarray(13 + headBytes),
    size: frame.length,
  };
}

/**
 * Reads frames off a stream and calls `onFrame` for each; a frame over `maxBytes`, one that is malformed, or one that `onFrame`
 * throws a {@link FrameError} for, destroys the stream with that error.
 */
export function readFrames(stream: Duplex, maxBytes: number, onFrame: (frame: Frame) => void): void {
  const sizeAt = (bytes: Buffer, at: number) => {
    const length = bytes.readUInt32BE(at);
    if (length < FIXED_BYTES || length > maxBytes) throw new FrameError("length");
    return 4 + length;
  };
  const splitter = new MessageSplitter({ headerBytes: 4, sizeAt }, (bytes, start, end) =>
    onFrame(decodeFrame(bytes.subarray(start, end))),
  );
  stream.on("data", (chunk: Buffer) => {
    try {
      splitter.push(chunk);
    } catch (error) {
      stream.destroy(error as Error);
    }
  });
}

/** Writes frames, those of one turn of the event loop together. */
export class FrameWriter {
  readonly #stream: Duplex;
  #frames: Buffer[] = [];

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  write(frame: Buffer): void {
    if (this.#frames.push(frame) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const frames = this.#frames;
    this.#frames = [];
    if (this.#stream.destroyed) return;
    this.#stream.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }
}
