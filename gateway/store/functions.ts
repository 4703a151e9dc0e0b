import { createHash, randomUUID } from "node:crypto";
import { and, desc, eq, max } from "drizzle-orm";
import type { Analysis, Finding, FunctionConfig } from "../../compiler/types.ts";
import type { Database } from "./connect.ts";
import { analyses, deployments, functions, versions } from "./schema.ts";

export interface StoredFunction {
  id: string;
  name: string;
  liveVersion: number;
  config: FunctionConfig;
  createdAt: Date;
  updatedAt: Date;
}

export interface StoredVersion {
  version: number;
  /** SHA-256 of the artefact, hexadecimal. */
  artifactHash: string;
  artifactBytes: number;
  config: FunctionConfig;
  findings: Finding[];
  createdAt: Date;
  live: boolean;
}

/** Who asked for a change, for the audit trail. */
export interface Actor {
  actor: string;
  requestId: string;
}

export interface DeployInput {
  name: string;
  artifact: Uint8Array;
  analysis: Analysis;
  config: FunctionConfig;
}

/** Functions and their versions. A change is committed when its promise resolves. */
export class FunctionStore {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  /** Stores a new version, numbered one above the highest, and makes it live. */
  async deploy(input: DeployInput, by: Actor): Promise<StoredFunction> {
    return this.#db.transaction(async (tx) => {
      await tx
        .insert(functions)
        .values({ id: randomUUID(), name: input.name, liveVersion: 0 })
        .onConflictDoNothing({ target: functions.name });
      const [row] = await tx.select().from(functions).where(eq(functions.name, input.name)).for("update");
      const functionId = row!.id;
      const [highest] = await tx
        .select({ version: max(versions.version) })
        .from(versions)
        .where(eq(versions.functionId, functionId));
      const version = (highest?.version ?? 0) + 1;
      await tx.insert(versions).values({
        functionId,
        version,
        artifactHash: createHash("sha256").update(input.artifact).digest("hex"),
        artifact: input.artifact,
        artifactBytes: input.artifact.byteLength,
        config: input.config,
      });
      await tx.insert(analyses).values({ functionId, version, findings: input.analysis.findings });
      const updatedAt = new Date();
      await tx.update(functions).set({ liveVersion: version, updatedAt }).where(eq(functions.id, functionId));
      await tx.insert(deployments).values(audit(functionId, input.name, "deploy", version, by));
      return { ...row!, liveVersion: version, config: input.config, updatedAt };
    });
  }

  /** Makes an earlier version live; undefined when function or version do not exist. */
  async setLive(name: string, version: number, by: Actor): Promise<StoredFunction | undefined> {
    return this.#db.transaction(async (tx) => {
      const [row] = await tx.select().from(functions).where(eq(functions.name, name)).for("update");
      if (!row) return undefined;
      const [target] = await tx
        .select({ config: versions.config })
        .from(versions)
        .where(and(eq(versions.functionId, row.id), eq(versions.version, version)));
      if (!target) return undefined;
      const updatedAt = new Date();
      await tx.update(functions).set({ liveVersion: version, updatedAt }).where(eq(functions.id, row.id));
      await tx.insert(deployments).values(audit(row.id, name, "rollback", version, by));
      return { ...row, liveVersion: version, config: target.config, updatedAt };
    });
  }

  /** Removes a function with all its versions; its invocations stay. False when there is none of that name. */
  async remove(name: string, by: Actor): Promise<boolean> {
    return this.#db.transaction(async (tx) => {
      const [row] = await tx
        .delete(functions)
        .where(eq(functions.name, name))
        .returning({ id: functions.id });
      if (!row) return false;
      await tx.insert(deployments).values(audit(row.id, name, "delete", null, by));
      return true;
    });
  }

  async list(): Promise<StoredFunction[]> {
    const rows = await this.#db
      .select({ row: functions, config: versions.config })
      .from(functions)
      .innerJoin(
        versions,
        and(eq(versions.functionId, functions.id), eq(versions.version, functions.liveVersion)),
      )
      .orderBy(functions.name);
    return rows.map(({ row, config }) => ({ ...row, config }));
  }

  /** Newest first; without the artefacts. */
  async versions(functionId: string): Promise<StoredVersion[]> {
    const rows = await this.#db
      .select({
        version: versions.version,
        artifactHash: versions.artifactHash,
        artifactBytes: versions.artifactBytes,
        config: versions.config,
        createdAt: versions.createdAt,
        findings: analyses.findings,
        liveVersion: functions.liveVersion,
      })
      .from(versions)
      .innerJoin(functions, eq(functions.id, versions.functionId))
      .innerJoin(
        analyses,
        and(eq(analyses.functionId, versions.functionId), eq(analyses.version, versions.version)),
      )
      .where(eq(versions.functionId, functionId))
      .orderBy(desc(versions.version));
    return rows.map(({ liveVersion, ...row }) => ({ ...row, live: row.version === liveVersion }));
  }

  async artifact(functionId: string, version: number): Promise<Uint8Array | undefined> {
    const [row] = await this.#db
      .select({ artifact: versions.artifact })
      .from(versions)
      .where(and(eq(versions.functionId, functionId), eq(versions.version, version)));
    return row?.artifact;
  }

  /** The audit trail of one name, newest first. */
  async deployments(name: string, limit = 100) {
    return this.#db
      .select()
      .from(deployments)
      .where(eq(deployments.functionName, name))
      .orderBy(desc(deployments.timestamp))
      .limit(limit);
  }
}

function audit(
  functionId: string,
  functionName: string,
  action: "deploy" | "rollback" | "delete",
  version: number | null,
  by: Actor,
) {
  return { id: randomUUID(), functionId, functionName, action, version, ...by };
}
