import type { Duplex } from "node:stream";
import type { Cancellation } from "../../runtime/cancellation.ts";
import { encodeParam } from "./encode-param.ts";
import { abortError, brokerError, queryTimeout, ServerError, shownError, unavailable } from "./errors.ts";
import type { RawResult } from "./raw-result.ts";
import { controlsTransaction, type Statement } from "./statement.ts";
import {
  Acknowledgement,
  type Ending,
  type ResultLimits,
  StatementExchange,
  TypesExchange,
} from "./statement-exchange.ts";
import { type Exchange, Wire } from "./wire.ts";
import { cancelRequest, command, DESCRIBE_STATEMENT, execute, parse, SYNC, simple } from "./wire-messages.ts";

/** A login at the database. */
export interface Role {
  user: string;
  password: string;
}

export interface LaneOptions {
  role: Role;
  database: string;
  /** Gives a connected socket, or rejects. Called once for each lane. */
  openSocket(signal: AbortSignal): Promise<Duplex>;
  /** Another way to the server, for a cancel request; null when there is none. */
  openCancelSocket: ((signal: AbortSignal) => Promise<Duplex>) | null;
  timeoutMs: number;
}

export interface RunOptions {
  access: "read" | "write";
  /** The caller uses the lane for this statement only: it is reset at once, in the same message to the server. */
  alone: boolean;
  limits: ResultLimits;
  signal: Cancellation;
}

/** How long a connection that was given up may take to end before it is cut, in ms beyond the query time-out. */
const DRAIN_GRACE_MS = 500;
/** Between cancel requests, of which one that comes before its statement is lost, ms. */
const CANCEL_INTERVAL_MS = 200;
const RESET_TIMEOUT_MS = 5000;

// The select fixes the transaction's snapshot, after which Postgres refuses to make it READ WRITE again.
const BEGIN_READ_ONLY = Buffer.concat([command("begin read only"), command("select 1")]);
const STAY_READ_ONLY = Buffer.concat([command("set transaction read only"), command("select 1")]);
const ROLLBACK = simple("rollback");
const DISCARD_ALL = simple("discard all");

/**
 * One database connection, used by one caller at a time. After each use {@link reset} returns it to the state of a new
 * one; after a time-out, an abort, an overrun or an error of the connection it is given up and never used again.
 */
export class Lane {
  readonly role: Role;
  readonly #wire: Wire;
  readonly #options: LaneOptions;
  #givenUp = false;
  /** Something may be left of the last caller, beyond what is being undone. */
  #dirty: boolean;
  #undoing: Promise<void>[] = [];
  /** Of these, the ones that are not done. */
  #undoings = 0;

  private constructor(wire: Wire, options: LaneOptions) {
    this.role = options.role;
    this.#wire = wire;
    this.#options = options;
    // the embedded database has one session for all who come
    this.#dirty = options.openCancelSocket === null;
  }

  /** Rejects with a HostError `db_unavailable`. */
  static async open(options: LaneOptions): Promise<Lane> {
    const { role, database, timeoutMs } = options;
    const signal = AbortSignal.timeout(timeoutMs);
    let socket: Duplex | undefined;
    const stop = () => socket?.destroy(new Error("connecting timed out"));
    signal.addEventListener("abort", stop);
    try {
      socket = await options.openSocket(signal);
      const wire = await Wire.open(socket, { ...role, database, parameters: sessionParameters(timeoutMs) });
      const lane = new Lane(wire, options);
      await lane.reset();
      return lane;
    } catch (error) {
      socket?.destroy();
      // Whatever is said while a connection is made (password, database, role) is no function's business.
      const { message } = error as Error;
      throw unavailable(error instanceof ServerError ? `${error.code} ${message}` : message);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  get usable(): boolean {
    return !this.#givenUp && this.#wire.alive;
  }

  /** Settles when the session is gone at the server. */
  get closed(): Promise<void> {
    return this.#wire.closed;
  }

  /** Runs one statement. Rejects with a HostError; see {@link usable} afterwards. */
  run(statement: Statement, options: RunOptions): Promise<RawResult> {
    const { signal } = options;
    if (signal.aborted) return Promise.reject(abortError(signal));
    const { timeoutMs } = this.#options;
    const startMs = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<RawResult>();
    const giveUp = (error: Error) => {
      reject(error);
      this.retire();
    };
    const onAbort = () => giveUp(abortError(signal));
    const timer = setTimeout(() => giveUp(queryTimeout(timeoutMs)), timeoutMs);
    signal.addEventListener("abort", onAbort);
    const onEnd = (ending: Ending) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      switch (ending.kind) {
        case "result":
          return resolve(ending.result);
        case "tooManyRows":
          return reject(
            brokerError("db_too_many_rows", `the result has more than ${options.limits.rows} rows`),
          );
        case "tooManyBytes":
          return reject(
            brokerError("db_result_too_large", `the result is larger than ${options.limits.bytes} bytes`),
          );
        case "failed": {
          // the server's own statement_timeout, when it is a moment ahead of ours
          const late = performance.now() - startMs >= 0.9 * timeoutMs;
          if (late && ending.error instanceof ServerError && ending.error.code === "57014")
            return giveUp(queryTimeout(timeoutMs));
          return reject(shownError(ending.error));
        }
      }
    };
    this.#send(statement, options, onEnd);
    return promise;
  }

  /** Ends what the last caller left behind: transaction, settings, temporary tables, statements, locks, listeners. */
  async reset(): Promise<void> {
    const timer = setTimeout(() => this.destroy(), RESET_TIMEOUT_MS);
    try {
      if (this.#dirty) this.#exchange([], [...(this.#idle ? [] : [ROLLBACK]), DISCARD_ALL]);
      this.#dirty = false;
      await Promise.all(this.#undoing.splice(0));
    } catch (error) {
      this.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends an idle connection. */
  close(): void {
    if (this.#givenUp) return;
    this.#givenUp = true;
    this.#wire.end();
    const cut = setTimeout(() => this.destroy(), this.#options.timeoutMs + DRAIN_GRACE_MS);
    this.closed.then(() => clearTimeout(cut));
  }

  /**
   * Gives the connection up: asks the server to stop the statement and to end the session. The place in the pool stays taken
   * until that is done. A cancel request names a process and not a statement, but nobody uses this connection any more,
   * and for another process its key is wrong.
   */
  retire(): void {
    if (this.#givenUp) return;
    this.close();
    const cancelling = setInterval(() => void this.#cancel(), CANCEL_INTERVAL_MS);
    void this.#cancel();
    this.closed.then(() => clearInterval(cancelling));
  }

  /** Cuts the connection at once: a server that is still sending fails at its next write. */
  destroy(): void {
    this.#givenUp = true;
    this.#wire.destroy(new Error("the connection was given up"));
  }

  async #cancel(): Promise<void> {
    const { openCancelSocket, timeoutMs } = this.#options;
    const { backend } = this.#wire;
    if (!openCancelSocket || !backend) return;
    try {
      const socket = await openCancelSocket(AbortSignal.timeout(timeoutMs));
      socket.on("error", () => {});
      socket.resume();
      socket.end(cancelRequest(backend.processId, backend.key));
    } catch {
      // the connection's end is what counts
    }
  }

  #send(statement: Statement, { access, alone, limits }: RunOptions, onEnd: (ending: Ending) => void): void {
    const control = controlsTransaction(statement.keyword);
    const guarded = access === "read" && this.#idle && !control;
    const before = [...(guarded ? [BEGIN_READ_ONLY] : []), parse(statement.text)];
    const undo = [...(guarded ? [ROLLBACK] : []), ...(alone ? [DISCARD_ALL] : [])];
    if (!alone) this.#dirty = true;
    const run = (messages: Buffer[], types: number[], skipped: number) => {
      const params = statement.params.map((param, i) => encodeParam(param, types[i] ?? 0));
      messages.push(execute(params, { describe: true, maxRows: limits.rows + 1 }));
      if (access === "read" && control) messages.push(STAY_READ_ONLY);
      this.#exchange([...messages, SYNC], undo, new StatementExchange(skipped, limits, onEnd));
    };
    if (!statement.params.some(Array.isArray)) {
      run(before, [], guarded ? 2 : 0);
      return;
    }
    // an array is an array or JSON, as the server wants it
    const types = new TypesExchange();
    this.#exchange([...before, DESCRIBE_STATEMENT, SYNC], [], types);
    types.done.then(
      () => run([], types.types, 0),
      (error) => {
        this.#exchange([], undo);
        onEnd({ kind: "failed", error });
      },
    );
  }

  /** In no transaction, once what has been sent is done. */
  get #idle(): boolean {
    return this.#undoings > 0 || this.#wire.status === "I";
  }

  /** Sends messages in one piece, with what undoes behind them. */
  #exchange(messages: Buffer[], undo: Buffer[], ...exchanges: Exchange[]): void {
    const undone = undo.map(() => new Acknowledgement());
    this.#undoing.push(...undone.map(({ done }) => done));
    this.#undoings += undone.length;
    const over = () => this.#undoings--;
    for (const { done } of undone) done.then(over, over);
    if (messages.length + undo.length > 0)
      this.#wire.send(Buffer.concat([...messages, ...undo]), ...exchanges, ...undone);
  }
}

/** What DISCARD ALL returns to. */
function sessionParameters(timeoutMs: number): Record<string, string> {
  return {
    application_name: "thimble-functions",
    DateStyle: "ISO",
    IntervalStyle: "postgres",
    TimeZone: "UTC",
    bytea_output: "hex",
    extra_float_digits: "1",
    statement_timeout: `${timeoutMs}`,
    idle_in_transaction_session_timeout: `${2 * timeoutMs}`,
    // The server looks this often whether we are still there while it works.
    client_connection_check_interval: "500",
  };
}
