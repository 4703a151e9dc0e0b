import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { z } from "zod";
import { CancellationSource } from "../../runtime/cancellation.ts";
import type { QueryRequest } from "../../runtime/protocol.ts";
import { HostError } from "../../runtime/services.ts";
import type { RawBroker, RawSession } from "./broker.ts";
import { unavailable } from "./errors.ts";
import {
  Answer,
  Ask,
  encodeFrame,
  type Frame,
  FrameError,
  FrameWriter,
  MAX_ASK_BYTES,
  readFrames,
} from "./frames.ts";

/** Bytes of queries that one client may have under way; what comes beyond that is read when some are answered. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** What a query takes here beside its frame, about. */
const QUERY_BYTES = 4096;
/** Sessions of one client, which has one for each execution in it: more than a process has room for. */
const MAX_SESSIONS = 10_000;

const target = z.strictObject({
  functionName: z.string().min(1).max(200),
  access: z.union([z.literal("read"), z.literal("write"), z.literal(false)]),
});
const leaseNumber = z.number().int().min(1).max(0xffff_ffff);

export interface BrokerServer {
  close(): Promise<void>;
}

/**
 * Lets other processes query through a broker. Who may connect is a matter of the socket: only its owner's processes may open
 * the file (mode 0600).
 */
export async function serveBroker(broker: RawBroker, socketPath: string): Promise<BrokerServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    new Client(broker, socket);
  });
  await listen(server, socketPath);
  return {
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function listen(server: Server, socketPath: string): Promise<void> {
  // what a broker that was killed has left
  rmSync(socketPath, { force: true });
  const before = process.umask(0o177);
  try {
    server.listen(socketPath);
    await once(server, "listening");
  } finally {
    process.umask(before);
  }
}

/** A process that queries. Its end is the end of its sessions. */
class Client {
  readonly #broker: RawBroker;
  readonly #socket: Socket;
  readonly #writer: FrameWriter;
  readonly #sessions = new Map<number, RawSession>();
  readonly #queries = new Map<number, CancellationSource>();
  #heldBytes = 0;

  constructor(broker: RawBroker, socket: Socket) {
    this.#broker = broker;
    this.#socket = socket;
    this.#writer = new FrameWriter(socket);
    readFrames(socket, MAX_ASK_BYTES, (frame) => this.#on(frame));
    socket.on("error", () => {});
    socket.on("drain", () => this.#hold(0));
    socket.once("close", () => {
      for (const session of this.#sessions.values()) session.close();
    });
  }

  #on(frame: Frame): void {
    const { kind, id, head } = frame;
    switch (kind) {
      case Ask.open:
        if (this.#sessions.has(id) || this.#sessions.size >= MAX_SESSIONS) throw new FrameError("session");
        this.#sessions.set(id, this.#broker.openSession(parse(target, head)));
        return;
      case Ask.query:
        this.#query(id, readQuery(head), frame.size + QUERY_BYTES);
        return;
      case Ask.cancel: {
        const source = this.#queries.get(id);
        this.#queries.delete(id);
        source?.abort();
        return;
      }
      case Ask.release:
        this.#session(id).release(parse(leaseNumber, head));
        return;
      case Ask.close:
        this.#session(id).close();
        this.#sessions.delete(id);
        return;
      case Ask.stats:
        this.#broker
          .stats()
          .then(
            (stats) => this.#writer.write(encodeFrame(Answer.stats, id, stats)),
            (error) => this.#fail(id, error),
          )
          .finally(() => this.#hold(0));
        return;
      default:
        throw new FrameError("kind");
    }
  }

  #session(id: number): RawSession {
    const session = this.#sessions.get(id);
    if (!session) throw new FrameError("session");
    return session;
  }

  #query(id: number, { session, ...request }: Query, bytes: number): void {
    if (this.#queries.has(id)) throw new FrameError("query");
    const source = new CancellationSource();
    this.#queries.set(id, source);
    this.#hold(bytes);
    this.#session(session)
      .query(request, source)
      .then(
        ({ rows, ...head }) => {
          if (this.#queries.delete(id)) this.#writer.write(encodeFrame(Answer.result, id, head, rows));
        },
        (error) => {
          if (this.#queries.delete(id)) this.#fail(id, error);
        },
      )
      .finally(() => this.#hold(-bytes));
  }

  /** Reads on only while neither queries nor answers pile up. */
  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes > MAX_HELD_BYTES || this.#socket.writableNeedDrain) this.#socket.pause();
    else this.#socket.resume();
  }

  #fail(id: number, cause: unknown): void {
    const { name, code, message, details } = cause instanceof HostError ? cause : unavailable(cause);
    this.#writer.write(encodeFrame(Answer.error, id, { name, code, message, details }));
  }
}

type Query = QueryRequest & { session: number };

/** By hand, since it is done for each query. Statement and parameters are checked by the session. */
function readQuery(head: unknown): Query {
  const { session, text, params, lease } = (head ?? {}) as Partial<Query>;
  if (typeof session !== "number" || typeof text !== "string" || !Array.isArray(params))
    throw new FrameError("fields");
  if (lease === undefined) return { session, text, params };
  return { session, text, params, lease: parse(leaseNumber, lease) };
}

function parse<T>(schema: z.ZodType<T>, head: unknown): T {
  const parsed = schema.safeParse(head);
  if (!parsed.success) throw new FrameError("fields");
  return parsed.data;
}
