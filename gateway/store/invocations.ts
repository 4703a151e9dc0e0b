import { and, desc, eq, inArray, lt, sql } from "drizzle-orm";
import { codeOf } from "../errors.ts";
import type { Trace } from "../trace.ts";
import type { Connection, Database } from "./connect.ts";
import { LINE_COLUMNS } from "./invocation-lines.ts";
import { functionInvocations, type InvocationStatus, type KillReason } from "./schema.ts";

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
  /** Time in which at least one of its queries was under way. */
  databaseMs: number | null;
  killReason: KillReason | null;
  traceId: string | null;
  /** Its place in the trace, for export; not stored. */
  span?: Pick<Trace, "spanId" | "parentSpanId" | "sampled"> | undefined;
}

/** Postgres's code for a row that is there already. */
const UNIQUE_VIOLATION = "23505";

const lineColumns = sql.raw(LINE_COLUMNS.map(([name]) => name).join(", "));
const lineFields = sql.raw(LINE_COLUMNS.map(([, type], i) => `field[${i + 1}]::${type}`).join(", "));

/** The history of executions. */
export class InvocationStore {
  readonly #db: Database;
  readonly #copyIn: Connection["copyIn"];
  constructor({ db, copyIn }: Pick<Connection, "db" | "copyIn">) {
    this.#db = db;
    this.#copyIn = copyIn;
  }

  /** Adds executions as lines (see `invocation-lines.ts`). To add some again that may be there is harmless. */
  async append(lines: string): Promise<void> {
    if (this.#copyIn) {
      try {
        return await this.#copyIn(
          "function_invocations",
          LINE_COLUMNS.map(([name]) => name),
          lines,
        );
      } catch (error) {
        if (codeOf(error) !== UNIQUE_VIOLATION) throw error;
      }
    }
    await this.#db.execute(sql`
      insert into function_invocations (${lineColumns})
      select ${lineFields}
      from (
        select string_to_array(line, E'\\t') as field from string_to_table(${lines.trimEnd()}, E'\\n') as line
      ) as fields
      on conflict (id) do nothing`);
  }

  /**
   * Inserts rows, or brings those already there up to date. They travel as one parameter: built as a list of values, a row
   * costs the thread that serves requests as much as the execution it is about.
   */
  async save(rows: InvocationRow[]): Promise<void> {
    const records = rows.map((row) => ({
      id: row.id,
      function_id: row.functionId,
      function_name: row.functionName,
      version: row.version,
      request_id: row.requestId,
      status: row.status,
      duration_ms: row.durationMs,
      error: row.error,
      error_code: row.errorCode,
      timestamp: row.timestamp,
      cpu_ms: row.cpuMs,
      fuel: row.fuel,
      memory_bytes: row.memoryBytes,
      database_ms: row.databaseMs,
      kill_reason: row.killReason,
      trace_id: row.traceId,
    }));
    await this.#db.execute(sql`
      insert into function_invocations
      select * from json_populate_recordset(null::function_invocations, ${JSON.stringify(records)}::json)
      on conflict (id) do update set
        status = excluded.status, duration_ms = excluded.duration_ms, error = excluded.error,
        error_code = excluded.error_code, cpu_ms = excluded.cpu_ms, fuel = excluded.fuel,
        memory_bytes = excluded.memory_bytes, database_ms = excluded.database_ms,
        kill_reason = excluded.kill_reason`);
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
      .set({
        status: "aborted",
        error: "The server stopped during the execution",
        errorCode: "overloaded",
        killReason: "server_stopped",
      })
      .where(eq(functionInvocations.status, "running"));
  }

  /** Those of `ids` that are still `running` have failed, for this reason: the process that ran them is dead. */
  async failRunning(ids: string[], error: string): Promise<void> {
    const { id, status } = functionInvocations;
    await this.#db
      .update(functionInvocations)
      .set({ status: "failed", error, errorCode: "internal_error", killReason: "worker_ended" })
      .where(and(inArray(id, ids), eq(status, "running")));
  }

  /** Forgets executions that started before `before`. */
  async prune(before: Date): Promise<void> {
    await this.#db.delete(functionInvocations).where(lt(functionInvocations.timestamp, before));
  }
}
