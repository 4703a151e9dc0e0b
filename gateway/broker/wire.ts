import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";
import { ServerError } from "./errors.ts";
import { MessageSplitter } from "./message-splitter.ts";
import { Scram } from "./scram.ts";
import { framing, readErrorFields, readMechanisms, type TransactionStatus, Type } from "./wire-answers.ts";
import { password as passwordMessage, startup, TERMINATE } from "./wire-messages.ts";

/** No message of the server but a row is longer. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** Within which a server ends a session whose socket was cut, ms. */
const NOTICE_MS = 50;

/** What is expected from the server up to its next ReadyForQuery. */
export interface Exchange {
  /** May this row still come? Asked before the rest of it is kept; when not, the connection is cut. */
  takesRow(bytes: number): boolean;
  /** `body` is valid during the call; of a row, `start` and `end` give the whole message in `bytes`. */
  onMessage(type: number, bytes: Buffer, start: number, end: number): void;
  onReady(): void;
  /** The connection is closed. */
  onGone(cause: Error): void;
}

/** A row was longer than {@link Exchange.takesRow} allowed. */
export class RowRefused extends Error {
  constructor() {
    super("the server sent more rows than are taken");
  }
}

export interface WireOptions {
  user: string;
  password: string;
  database: string;
  /** Of the session, as `SET` knows them. */
  parameters: Record<string, string>;
}

/**
 * A session at a Postgres server: the protocol, and nothing about what is done with it. Written for the broker, because it has to do
 * what drivers do not offer: count a row before it is there, send several messages and our own clean-up in one write, know whether a
 * transaction is open, cancel, and be sure of the extended protocol.
 */
export class Wire {
  /** Settles when the session is gone at the server, too: it has closed its side, or has had time to notice that we have. */
  readonly closed: Promise<void>;
  status: TransactionStatus = "I";
  /** What a cancel request names. */
  backend: { processId: number; key: Buffer } | null = null;
  readonly #socket: Duplex;
  readonly #splitter: MessageSplitter;
  #exchanges: Exchange[] = [];
  #cause: Error | null = null;

  private constructor(socket: Duplex) {
    this.#socket = socket;
    const checkSize = (type: number, bytes: number) => {
      if (type === Type.dataRow ? !this.#exchanges[0]?.takesRow(bytes) : bytes > MAX_MESSAGE_BYTES)
        throw new RowRefused();
    };
    this.#splitter = new MessageSplitter(framing(checkSize), (bytes, start, end) =>
      this.#onMessage(bytes, start, end),
    );
    let endedByServer = false;
    socket.once("end", () => {
      endedByServer = true;
    });
    this.closed = new Promise((resolve) => {
      socket.once("close", () => (endedByServer ? resolve() : setTimeout(resolve, NOTICE_MS)));
    });
    socket.on("error", (error) => {
      this.#cause ??= error;
    });
    socket.on("data", (chunk: Buffer) => {
      try {
        if (this.#cause === null) this.#splitter.push(chunk);
      } catch (error) {
        this.destroy(error as Error);
      }
    });
    socket.resume();
    socket.once("close", () => this.#gone(this.#cause ?? new Error("the connection was closed")));
  }

  /** Rejects with what the server or the network says. The socket is destroyed then. */
  static async open(socket: Duplex, options: WireOptions): Promise<Wire> {
    const wire = new Wire(socket);
    const { user, password, database, parameters } = options;
    try {
      await new Promise<void>((resolve, reject) => {
        const handshake = new Handshake(wire, user, password);
        wire.#exchanges.push({
          takesRow: () => false,
          onMessage: (type, bytes, start, end) =>
            handshake.onMessage(type, bytes.subarray(start + 5, end)).catch(reject),
          onReady: resolve,
          onGone: reject,
        });
        socket.write(startup({ user, database, client_encoding: "UTF8", ...parameters }));
      });
    } catch (error) {
      wire.destroy(error as Error);
      throw error;
    }
    return wire;
  }

  /** Sends; the server answers with one ReadyForQuery for each exchange. */
  send(bytes: Buffer, ...exchanges: Exchange[]): void {
    if (this.#cause !== null) {
      for (const exchange of exchanges) exchange.onGone(this.#cause);
      return;
    }
    this.#exchanges.push(...exchanges);
    this.#socket.write(bytes);
  }

  get alive(): boolean {
    return this.#cause === null;
  }

  /** Ends the session once the server has done what was sent. What it still answers is dropped. */
  end(): void {
    if (this.#cause !== null) return;
    this.#cause = new Error("the connection was given up");
    this.#socket.end(TERMINATE);
  }

  destroy(cause: Error): void {
    this.#cause ??= cause;
    this.#socket.destroy();
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  #onMessage(bytes: Buffer, start: number, end: number): void {
    if (this.#cause !== null) return;
    const type = bytes[start]!;
    switch (type) {
      case Type.readyForQuery:
        this.status = String.fromCharCode(bytes[start + 5]!) as TransactionStatus;
        this.#exchanges.shift()?.onReady();
        return;
      case Type.notice:
      case Type.notification:
      case Type.parameterStatus:
        return;
      case Type.copyIn:
      case Type.copyOut:
      case Type.copyBoth:
        throw new Error("COPY is not supported");
      case Type.error:
        // without an exchange the server speaks of the session as a whole: it is going down, or we were idle for too long
        if (this.#exchanges.length === 0)
          throw new ServerError(readErrorFields(bytes.subarray(start + 5, end)));
    }
    this.#exchanges[0]?.onMessage(type, bytes, start, end);
  }

  #gone(cause: Error): void {
    this.#cause ??= cause;
    const exchanges = this.#exchanges;
    this.#exchanges = [];
    for (const exchange of exchanges) exchange.onGone(cause);
  }
}

/** From the start-up message to the first ReadyForQuery. */
class Handshake {
  readonly #wire: Wire;
  readonly #user: string;
  readonly #password: string;
  readonly #scram: Scram;

  constructor(wire: Wire, user: string, password: string) {
    this.#wire = wire;
    this.#user = user;
    this.#password = password;
    this.#scram = new Scram(password);
  }

  async onMessage(type: number, body: Buffer): Promise<void> {
    if (type === Type.error) throw new ServerError(readErrorFields(body));
    if (type === Type.backendKeyData)
      this.#wire.backend = { processId: body.readUInt32BE(0), key: Buffer.from(body.subarray(4)) };
    if (type === Type.authentication) await this.#authenticate(body.readUInt32BE(0), body);
  }

  async #authenticate(method: number, body: Buffer): Promise<void> {
    const text = body.toString("utf8", 4);
    switch (method) {
      case 0:
        return;
      case 3:
        this.#wire.write(passwordMessage(this.#password));
        return;
      case 5: {
        const inner = md5(`${this.#password}${this.#user}`);
        this.#wire.write(
          passwordMessage(`md5${md5(Buffer.concat([Buffer.from(inner), body.subarray(4, 8)]))}`),
        );
        return;
      }
      case 10: {
        if (!readMechanisms(body).includes("SCRAM-SHA-256")) break;
        const first = Buffer.from(this.#scram.first());
        const length = Buffer.alloc(4);
        length.writeUInt32BE(first.length);
        this.#wire.write(passwordMessage("SCRAM-SHA-256", length, first));
        return;
      }
      case 11:
        this.#wire.write(passwordMessage(Buffer.from(await this.#scram.final(text))));
        return;
      case 12:
        this.#scram.verify(text);
        return;
    }
    throw new Error(`the server wants a kind of authentication that is not supported (${method})`);
  }
}

const md5 = (data: string | Buffer) => createHash("md5").update(data).digest("hex");
