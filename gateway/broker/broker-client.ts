import { connect, type Socket } from "node:net";
import { z } from "zod";
import type { Cancellation } from "../../runtime/cancellation.ts";
import type { QueryRequest, QueryResponse } from "../../runtime/protocol.ts";
import { type DatabaseSession, HostError } from "../../runtime/services.ts";
import type { Broker, SessionTarget } from "./broker.ts";
import { aborted, brokerError, unavailable } from "./errors.ts";
import { Answer, Ask, encodeFrame, type Frame, FrameError, FrameWriter, readFrames } from "./frames.ts";
import type { PoolStats } from "./pool.ts";
import { decodeResult } from "./raw-result.ts";

/** More than a result is allowed to have by default, and its columns. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Queries of one session that are on their way at once; the others wait here and not in the broker. */
const SESSION_WINDOW = 8;
/** Before the next attempt to reach a broker that was not there, ms. */
const RETRY_MS = 50;

const failure = z.object({
  name: z.string(),
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.string()).optional(),
});
const count = z.number().int().min(0);
const figures = z.object({
  initialized: z.boolean(),
  totalConnections: count,
  availableConnections: count,
  inUseConnections: count,
  maxConnections: count,
});

interface Question {
  onAnswer(frame: Frame): void;
  /** With the broker's error, or `db_unavailable`. */
  onFailure(error: HostError): void;
}

/**
 * A broker in another process, by the path that `startBroker` gives. Connects at the first use and again whenever the
 * connection is lost; what was under way then, and what comes before the broker is back, rejects with `db_unavailable`, and so
 * does what belongs to a lease that was lost.
 */
export function connectBroker(socketPath: string): Broker {
  return new BrokerClient(socketPath);
}

class BrokerClient implements Broker {
  readonly #socketPath: string;
  #link: Link | null = null;
  #lastFailure = 0;
  #closed = false;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  openSession(target: SessionTarget): DatabaseSession {
    return new RemoteSession(target, () => this.#connected());
  }

  async stats(): Promise<PoolStats> {
    const link = this.#connected();
    const frame = await new Promise<Frame>((resolve, reject) => {
      link.ask(Ask.stats, undefined, { onAnswer: resolve, onFailure: reject });
    });
    const parsed = figures.safeParse(frame.head);
    if (!parsed.success) throw unavailable(new FrameError("stats"));
    return parsed.data;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#link?.close();
  }

  /** Throws `db_unavailable` or `db_closed`. */
  #connected(): Link {
    if (this.#closed) throw brokerError("db_closed", "the database pool is closed");
    if (this.#link?.alive) return this.#link;
    if (performance.now() - this.#lastFailure < RETRY_MS) throw unavailable();
    this.#link = new Link(this.#socketPath, () => {
      this.#lastFailure = performance.now();
    });
    return this.#link;
  }
}

/** One connection to the broker. */
class Link {
  readonly #socket: Socket;
  readonly #writer: FrameWriter;
  readonly #questions = new Map<number, Question>();
  #nextId = 1;
  #held = true;
  alive = true;

  constructor(socketPath: string, onGone: () => void) {
    this.#socket = connect({ path: socketPath });
    this.#writer = new FrameWriter(this.#socket);
    readFrames(this.#socket, MAX_ANSWER_BYTES, (frame) => {
      const question = this.#questions.get(frame.id);
      this.#questions.delete(frame.id);
      this.#hold();
      if (frame.kind === Answer.error) question?.onFailure(hostError(frame));
      else question?.onAnswer(frame);
    });
    this.#socket.on("error", () => {});
    this.#socket.once("close", () => {
      this.alive = false;
      onGone();
      for (const question of this.#questions.values()) question.onFailure(unavailable());
      this.#questions.clear();
    });
    this.#hold();
  }

  newId(): number {
    const id = this.#nextId;
    this.#nextId = id === 0xffff_ffff ? 1 : id + 1;
    return id;
  }

  send(kind: number, id: number, head?: unknown): void {
    this.#writer.write(encodeFrame(kind, id, head));
  }

  /** The question's number, for {@link forget}. */
  ask(kind: number, head: unknown, question: Question): number {
    const id = this.newId();
    this.#questions.set(id, question);
    this.send(kind, id, head);
    this.#hold();
    return id;
  }

  /** No answer to this question is wanted any more. */
  forget(id: number): void {
    if (!this.#questions.delete(id)) return;
    this.send(Ask.cancel, id);
    this.#hold();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** The process may end while nothing is asked. */
  #hold(): void {
    const held = this.#questions.size > 0;
    if (held === this.#held) return;
    this.#held = held;
    if (held) this.#socket.ref();
    else this.#socket.unref();
  }
}

class RemoteSession implements DatabaseSession {
  readonly #target: SessionTarget;
  readonly #connect: () => Link;
  #link: Link | null = null;
  #id = 0;
  #lastLease = 0;
  #underWay = 0;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(target: SessionTarget, connect: () => Link) {
    this.#target = target;
    this.#connect = connect;
  }

  async query(request: QueryRequest, signal: Cancellation): Promise<QueryResponse> {
    if (this.#underWay >= SESSION_WINDOW) await new Promise<void>((next) => this.#waiting.push(next));
    if (signal.aborted || this.#closed) throw aborted();
    this.#underWay++;
    try {
      return await this.#ask(this.#opened(request.lease), request, signal);
    } finally {
      this.#underWay--;
      this.#waiting.shift()?.();
    }
  }

  release(lease: number): void {
    // what a guest still says after its end must not end its worker's connection
    if (!this.#closed && this.#link?.alive) this.#link.send(Ask.release, this.#id, lease);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const next of this.#waiting.splice(0)) next();
    if (this.#link?.alive) this.#link.send(Ask.close, this.#id);
  }

  #opened(lease = Number.POSITIVE_INFINITY): Link {
    const known = lease <= this.#lastLease;
    if (lease !== Number.POSITIVE_INFINITY && !known) this.#lastLease = lease;
    if (this.#link?.alive) return this.#link;
    if (known) throw unavailable();
    const link = this.#connect();
    this.#link = link;
    this.#id = link.newId();
    link.send(Ask.open, this.#id, this.#target);
    return link;
  }

  #ask(link: Link, request: QueryRequest, signal: Cancellation): Promise<QueryResponse> {
    const { text, params, lease, textTypes } = request;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        link.forget(id);
        reject(aborted());
      };
      const over = () => signal.removeEventListener("abort", onAbort);
      const id = link.ask(
        Ask.query,
        { session: this.#id, text, params, lease },
        {
          onAnswer({ kind, head, bytes }) {
            over();
            try {
              if (kind !== Answer.result) throw new FrameError("kind");
              resolve(decodeResult({ ...readHead(head), rows: bytes }, textTypes));
            } catch (error) {
              reject(unavailable(error));
            }
          },
          onFailure(error) {
            over();
            reject(error);
          },
        },
      );
      signal.addEventListener("abort", onAbort);
    });
  }
}

/** By hand, since it is done for each query. */
function readHead(head: unknown): Pick<QueryResponse, "columns" | "count" | "command"> {
  const { columns, count, command } = (head ?? {}) as Record<string, unknown>;
  if (!Array.isArray(columns) || typeof count !== "number" || typeof command !== "string")
    throw new FrameError("result");
  for (const column of columns)
    if (typeof column?.name !== "string" || typeof column.type !== "number") throw new FrameError("column");
  return { columns, count, command };
}

function hostError({ head }: Frame): HostError {
  const parsed = failure.safeParse(head);
  if (!parsed.success) return unavailable(new FrameError("error"));
  const { code, message, ...rest } = parsed.data;
  return new HostError(code, message, rest);
}
