import { desc, eq, lt, sql } from "drizzle-orm";
import type { Database } from "./connect.ts";
import { functionInvocations, type InvocationStatus } from "./schema.ts";

export interface InvocationRow {
  id: string;
  functionId: string;
  functionName: string;
  version: number;
  requestId: string;
  status: InvocationStatus;
  /** Null while it runs. */
  durationMs: number | null;
  error: string | null;
  errorCode: string | null;
  /** When it started. */
  timestamp: Date;
  cpuMs: number | null;
  fuel: number | null;
  memoryBytes: number | null;
}

const excluded = (column: string) => sql.raw(`excluded."${column}"`);

/** The history of executions. */
export class InvocationStore {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  /** Inserts rows, or brings those already there up to date. At most 4,000 at once (Postgres takes 65,535 parameters). */
  async save(rows: InvocationRow[]): Promise<void> {
    await this.#db
      .insert(functionInvocations)
      .values(rows)
      .onConflictDoUpdate({
        target: functionInvocations.id,
        set: {
          status: excluded("status"),
          durationMs: excluded("duration_ms"),
          error: excluded("error"),
          errorCode: excluded("error_code"),
          cpuMs: excluded("cpu_ms"),
          fuel: excluded("fuel"),
          memoryBytes: excluded("memory_bytes"),
        },
      });
  }

  /** Newest first. */
  async recent(functionId: string, limit: number): Promise<InvocationRow[]> {
    return this.#db
      .select()
      .from(functionInvocations)
      .where(eq(functionInvocations.functionId, functionId))
      .orderBy(desc(functionInvocations.timestamp))
      .limit(limit);
  }

  /**
   * Rows left `running` by a process that died. Another server on the same database corrects its own when their
   * executions end.
   */
  async abortOrphans(): Promise<void> {
    await this.#db
      .update(functionInvocations)
      .set({ status: "aborted", error: "The server stopped during the execution", errorCode: "overloaded" })
      .where(eq(functionInvocations.status, "running"));
  }

  /** Forgets executions that started before `before`. */
  async prune(before: Date): Promise<void> {
    await this.#db.delete(functionInvocations).where(lt(functionInvocations.timestamp, before));
  }
}
