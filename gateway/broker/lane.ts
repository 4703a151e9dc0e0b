import type { Duplex } from "node:stream";
import postgres from "postgres";
import type { QueryRequest, QueryResponse } from "../../runtime/protocol.ts";
import { decodeValue } from "./decode-value.ts";
import { encodeParam } from "./encode-param.ts";
import { aborted, brokerError, fromDriver, isFatal, queryTimeout, unavailable } from "./errors.ts";

export interface LaneOptions {
  user: string;
  password: string;
  database: string;
  /** Gives a connected socket, or rejects. Called once for each lane. */
  openSocket(signal: AbortSignal): Promise<Duplex>;
  timeoutMs: number;
  maxResultBytes: number;
  maxRows: number;
}

/** How long a connection that was given up may take to end before it is cut, in ms beyond the query time-out. */
const DRAIN_GRACE_MS = 500;
const RESET_TIMEOUT_MS = 5000;
const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4]);

type RawRow = (Buffer | null)[];
type RawQuery = Promise<{
  columns: { name: string; type: number }[] | undefined;
  count: number | null;
  command: string;
}> & {
  raw(): RawQuery;
  forEach(onRow: (row: RawRow) => void): RawQuery;
};

/**
 * One database connection, used by one caller at a time. After each use {@link reset} returns it to the state of a new
 * one; after a time-out, an abort, an overrun or an error of the connection it is given up and never used again.
 */
export class Lane {
  /** Settles when the socket is closed: only then is the server's side gone, too. */
  readonly closed: Promise<void>;
  readonly #sql: postgres.Sql;
  readonly #socket: Duplex;
  readonly #options: LaneOptions;
  #givenUp = false;
  #receivedBytes = 0;
  #onOverrun: () => void = () => this.destroy();

  private constructor(socket: Duplex, options: LaneOptions) {
    this.#socket = socket;
    this.#options = options;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    this.closed.then(() => {
      this.#givenUp = true;
    });
    socket.on("error", () => {});
    // Before the driver listens, so that a result which is too large is stopped before it is assembled in memory.
    socket.on("data", (chunk: Buffer) => {
      this.#receivedBytes += chunk.length;
      if (this.#receivedBytes > options.maxResultBytes) this.#onOverrun();
    });
    socket.resume();
    this.#sql = driver(socket, options);
  }

  /** Rejects with a HostError `db_unavailable`. */
  static async open(options: LaneOptions): Promise<Lane> {
    const signal = AbortSignal.timeout(options.timeoutMs);
    let socket: Duplex;
    try {
      socket = await options.openSocket(signal);
    } catch (error) {
      throw unavailable(error);
    }
    const lane = new Lane(socket, options);
    try {
      await lane.reset();
      return lane;
    } catch (error) {
      lane.destroy();
      // Whatever the server says while a connection is made (password, database, role) is no function's business.
      throw unavailable(error instanceof Error ? error.message : error);
    }
  }

  get usable(): boolean {
    return !this.#givenUp;
  }

  /** Runs one statement. Rejects with a HostError; see {@link usable} afterwards. */
  run(request: QueryRequest, signal: AbortSignal, access: "read" | "write"): Promise<QueryResponse> {
    if (signal.aborted) return Promise.reject(aborted());
    const { timeoutMs, maxResultBytes, maxRows } = this.#options;
    const startMs = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<QueryResponse>();
    const giveUp = (error: Error, how: "retire" | "destroy") => {
      // First the answer: the driver's own rejection, which follows, must not be the one that the caller sees.
      reject(error);
      this[how]();
    };
    const tooLarge = (limit: string) =>
      giveUp(brokerError("db_result_too_large", `the result is larger than ${limit}`), "destroy");
    const onAbort = () => giveUp(aborted(), "retire");

    this.#receivedBytes = 0;
    this.#onOverrun = () => tooLarge(`${maxResultBytes} bytes`);
    const timer = setTimeout(() => giveUp(queryTimeout(timeoutMs), "retire"), timeoutMs);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#execute(request, access, () => tooLarge(`${maxRows} rows`)).then(resolve, (error) => {
      const shown = fromDriver(error, performance.now() - startMs, timeoutMs);
      reject(shown);
      // A time-out is one whoever saw it first, we or the server: the connection goes.
      if (isFatal(error) || shown.code === "db_query_timeout") this.retire();
    });
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      this.#onOverrun = () => this.destroy();
    });
  }

  /** Ends what the last caller left behind: transaction, settings, temporary tables, statements, locks, listeners. */
  async reset(): Promise<void> {
    this.#receivedBytes = 0;
    const timer = setTimeout(() => this.destroy(), RESET_TIMEOUT_MS);
    try {
      // Two messages, since DISCARD ALL refuses to run in the implicit transaction of a message with several statements.
      await Promise.all([this.#sql.unsafe("rollback").simple(), this.#sql.unsafe("discard all").simple()]);
    } catch (error) {
      this.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Gives the connection up but lets the server notice, so that the place in the pool stays taken while the server still
   * works on it. Never a cancel request: it names a process and could hit the next caller's statement.
   */
  retire(): void {
    if (this.#givenUp) return;
    this.#givenUp = true;
    this.#receivedBytes = 0;
    this.#socket.removeAllListeners("data");
    this.#socket.on("data", (chunk: Buffer) => {
      this.#receivedBytes += chunk.length;
      if (this.#receivedBytes > this.#options.maxResultBytes) this.destroy();
    });
    this.#socket.end(TERMINATE);
    const timer = setTimeout(() => this.destroy(), this.#options.timeoutMs + DRAIN_GRACE_MS);
    this.closed.then(() => clearTimeout(timer));
  }

  /** Cuts the connection at once: a server that is still sending fails at its next write. */
  destroy(): void {
    this.#givenUp = true;
    this.#socket.destroy();
  }

  async #execute(
    request: QueryRequest,
    access: "read" | "write",
    onTooManyRows: () => void,
  ): Promise<QueryResponse> {
    // The select fixes the transaction's snapshot, after which Postgres refuses to make it READ WRITE again.
    if (access === "read") await this.#sql.unsafe("begin read only; select 1").simple();
    const params = request.params.map((param) => (param === null ? null : new Param(param)));
    // `simple: false` is not in the driver's types, but without it a call without parameters uses the simple protocol,
    // which would allow several statements in one text.
    const query = this.#sql.unsafe(
      request.text,
      params as never[],
      {
        prepare: false,
        simple: false,
      } as object,
    ) as unknown as RawQuery;
    const raw: RawRow[] = [];
    const result = await query.raw().forEach((row) => {
      raw.push(row);
      if (raw.length > this.#options.maxRows) onTooManyRows();
    });
    if (!("columns" in result)) {
      this.destroy();
      throw brokerError("db_unsupported", "COPY is not supported");
    }
    const columns = (result.columns ?? []).map(({ name, type }) => ({ name, type }));
    const rows = raw.map((row) =>
      row.map((value, i) => (value === null ? null : decodeValue(value.toString("utf8"), columns[i]!.type))),
    );
    return { columns, rows, count: result.count ?? 0, command: result.command ?? "" };
  }
}

/** Holds a parameter until the driver knows the type that the server wants. */
class Param {
  readonly #value: NonNullable<QueryRequest["params"][number]>;
  constructor(value: NonNullable<QueryRequest["params"][number]>) {
    this.#value = value;
  }
  toString(): string {
    return encodeParam(this.#value, 0)!;
  }
  toJson(type: number): string {
    return encodeParam(this.#value, type)!;
  }
}

const asText = (to: number, from: number[]) => ({
  to,
  from,
  serialize: String,
  parse: (text: string) => text,
});

function driver(socket: Duplex, options: LaneOptions): postgres.Sql {
  let taken = false;
  const settings = {
    host: "database",
    port: 5432,
    user: options.user,
    password: options.password,
    database: options.database,
    max: 1,
    ssl: false as const,
    // One socket, one lane: where the driver would reconnect by itself, it gets an error.
    socket: () => {
      if (taken) throw new Error("the connection was closed");
      taken = true;
      return socket;
    },
    prepare: false,
    fetch_types: false,
    // Without it the driver keeps the text of every statement that failed, for ever, in a map of call sites.
    debug: true as never,
    onnotice: () => {},
    idle_timeout: undefined,
    max_lifetime: null,
    connect_timeout: 0,
    keep_alive: null,
    target_session_attrs: undefined,
    types: {
      string: asText(25, []),
      number: asText(0, [21, 23, 26, 700, 701]),
      boolean: asText(16, [16]),
      date: asText(1184, [1082, 1114, 1184]),
      bytea: asText(17, [17]),
      json: {
        to: 114,
        from: [114, 3802],
        serialize: (param: Param) => param.toJson(114),
        parse: (text: string) => text,
      },
    },
    // What DISCARD ALL returns to.
    connection: {
      application_name: "thimble-functions",
      DateStyle: "ISO",
      IntervalStyle: "postgres",
      TimeZone: "UTC",
      bytea_output: "hex",
      statement_timeout: options.timeoutMs,
      idle_in_transaction_session_timeout: options.timeoutMs,
      // The server looks this often whether we are still there while it works: a connection given up ends soon.
      client_connection_check_interval: 500,
    },
  };
  return postgres(
    settings as unknown as postgres.Options<Record<string, postgres.PostgresType>>,
  ) as unknown as postgres.Sql;
}
