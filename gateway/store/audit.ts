import { randomUUID } from "node:crypto";
import { desc, eq, lt } from "drizzle-orm";
import type { Database } from "./connect.ts";
import { auditLog } from "./schema.ts";

export type AuditEntry = Omit<typeof auditLog.$inferSelect, "id" | "timestamp">;

/** Who changed what by the admin API, and what came of it. */
export class AuditStore {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  async add(entry: AuditEntry): Promise<void> {
    await this.#db.insert(auditLog).values({ id: randomUUID(), ...entry });
  }

  /** Newest first; of one function, or of all. */
  async recent(limit: number, functionName?: string): Promise<(AuditEntry & { timestamp: Date })[]> {
    const rows = await this.#db
      .select()
      .from(auditLog)
      .where(functionName === undefined ? undefined : eq(auditLog.functionName, functionName))
      .orderBy(desc(auditLog.timestamp))
      .limit(limit);
    return rows.map(({ id: _, ...entry }) => entry);
  }

  /** Forgets what is older than `before`. */
  async prune(before: Date): Promise<void> {
    await this.#db.delete(auditLog).where(lt(auditLog.timestamp, before));
  }
}
