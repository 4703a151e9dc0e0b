import { existsSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { PGlite } from "@electric-sql/pglite";
import type { QueryMessage, ThreadReply } from "./pglite-thread.ts";

/** An error of the embedded database; `code` is its SQLSTATE. */
export class EmbeddedDatabaseError extends Error {
  readonly code: string;
  constructor(message: string, code = "XX000") {
    super(message);
    this.name = "EmbeddedDatabaseError";
    this.code = code;
  }
}

interface QueryOptions {
  rowMode?: "array" | "object";
  /** What the statement reads as the file `/dev/blob`. */
  blob?: string;
}

interface QueryResult {
  rows: unknown[];
  affectedRows: number | undefined;
}

/** The part of a PGlite that drizzle's driver uses, spoken to a PGlite in another thread. */
export class PgliteClient {
  readonly #worker: Worker;
  readonly #pending = new Map<number, { resolve(result: QueryResult): void; reject(error: Error): void }>();
  #nextId = 1;
  #dead: Error | undefined;
  /** Ends when everything before has: one session, so a transaction keeps all others out. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(path: string) {
    this.#worker = new Worker(new URL("./pglite-thread.ts", import.meta.url), {
      workerData: { path },
      // The process's own flags are for its main thread (`--input-type`, `--test`, …).
      execArgv: [],
    });
    this.#worker.on("message", (reply: ThreadReply) => this.#settle(reply));
    this.#worker.on("error", (error) => this.#die(error as Error));
    this.#worker.on("exit", () =>
      this.#die(new EmbeddedDatabaseError("The embedded database is closed", "57P01")),
    );
  }

  /** Opens, or makes, the database in a folder. Rejects with `EmbeddedDatabaseError`. */
  static async open(path: string): Promise<PgliteClient> {
    // What making one takes, 300 MB, goes with the thread that did it.
    if (!existsSync(join(path, "PG_VERSION"))) await (await PgliteClient.#start(path)).close();
    return PgliteClient.#start(path);
  }

  static async #start(path: string): Promise<PgliteClient> {
    const client = new PgliteClient(path);
    try {
      await new Promise<QueryResult>((resolve, reject) => client.#pending.set(0, { resolve, reject }));
      return client;
    } catch (error) {
      await client.#worker.terminate();
      throw error;
    }
  }

  query(sql: string, params: unknown[] = [], options: QueryOptions = {}): Promise<QueryResult> {
    return this.#exclusive(() => this.#send(sql, params, options));
  }

  /** Runs a COPY that reads `/dev/blob`, which is this text. */
  async copyIn(sql: string, text: string): Promise<void> {
    await this.query(sql, [], { blob: text });
  }

  transaction<T>(work: (client: Pick<PgliteClient, "query">) => Promise<T>): Promise<T> {
    return this.#exclusive(async () => {
      const inside = {
        query: (sql: string, params: unknown[] = [], options: QueryOptions = {}) =>
          this.#send(sql, params, options),
      };
      await this.#send("BEGIN", [], {});
      try {
        const result = await work(inside);
        await this.#send("COMMIT", [], {});
        return result;
      } catch (error) {
        await this.#send("ROLLBACK", [], {});
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#exclusive(async () => {});
    if (this.#dead) return;
    const exited = new Promise((resolve) => this.#worker.once("exit", resolve));
    this.#worker.postMessage("close");
    await exited;
  }

  /** Drizzle asks for the class; it only calls `query` and `transaction`. */
  asPglite(): PGlite {
    return this as unknown as PGlite;
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #send(sql: string, params: unknown[], { rowMode = "object", blob }: QueryOptions): Promise<QueryResult> {
    if (this.#dead) return Promise.reject(this.#dead);
    const id = this.#nextId++;
    const message: QueryMessage = { id, sql, params, rowMode, blob };
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage(message);
    });
  }

  #settle(reply: ThreadReply): void {
    const waiting = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ("error" in reply) waiting?.reject(new EmbeddedDatabaseError(reply.error.message, reply.error.code));
    else waiting?.resolve(reply);
  }

  #die(error: Error): void {
    this.#dead ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
