import { createHash, randomUUID } from "node:crypto";
import { and, desc, eq, max, sql } from "drizzle-orm";
import type { Analysis, Finding, FunctionConfig } from "../../compiler/types.ts";
import { allTo, mainVersion, type Traffic } from "../traffic.ts";
import type { Database, Transaction } from "./connect.ts";
import { readFunction, readFunctions, type StoredFunction } from "./read-functions.ts";
import { analyses, deployments, functions, versions } from "./schema.ts";
import { storable } from "./storable.ts";
import type { Vault } from "./vault.ts";

export interface StoredVersion {
  version: number;
  /** SHA-256 of the artefact, hexadecimal. */
  artifactHash: string;
  artifactBytes: number;
  config: FunctionConfig;
  findings: Finding[];
  createdAt: Date;
  /** The largest share of the traffic goes to it. */
  live: boolean;
  /** Its share of the traffic, percent. */
  percent: number;
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
  /** Stores the version and leaves the traffic where it is; a first version is made live all the same. Default: false. */
  withoutTraffic?: boolean;
}

/** What a deployment came to. */
export interface DeployedVersion {
  stored: StoredFunction;
  version: number;
  /** False when the same artefact and configuration had been deployed before: that version is used again. */
  created: boolean;
}

/** Functions and their versions. A change is committed when its promise resolves. */
export class FunctionStore {
  readonly #db: Database;
  readonly #vault: Vault;
  constructor(db: Database, vault: Vault) {
    this.#db = db;
    this.#vault = vault;
  }

  /** Stores a version, numbered one above the highest, and makes it live. The same content is never stored twice. */
  async deploy(input: DeployInput, by: Actor): Promise<DeployedVersion> {
    return this.#db.transaction(async (tx) => {
      await tx
        .insert(functions)
        .values({ id: randomUUID(), name: input.name, liveVersion: 0 })
        .onConflictDoNothing({ target: functions.name });
      const [row] = await tx.select().from(functions).where(eq(functions.name, input.name)).for("update");
      const { id, liveVersion } = row!;
      const artifactHash = createHash("sha256").update(input.artifact).digest("hex");
      const known = await knownVersion(tx, id, artifactHash, input.config);
      const version = known ?? (await insertVersion(tx, id, artifactHash, input));
      if (!input.withoutTraffic || liveVersion === 0) await route(tx, id, allTo(version));
      await tx.insert(deployments).values(trail(id, input.name, "deploy", version, by));
      const stored = await readFunction(tx, this.#vault, input.name);
      return { stored: stored!, version, created: known === undefined };
    });
  }

  /** Sends all traffic to an earlier version; undefined when function or version do not exist. */
  setLive(name: string, version: number, by: Actor): Promise<StoredFunction | undefined> {
    return this.setTraffic(name, allTo(version), by, "rollback");
  }

  /** Shares the traffic out; undefined when the function or one of the versions does not exist. */
  async setTraffic(
    name: string,
    traffic: Traffic,
    by: Actor,
    action: "traffic" | "rollback" = "traffic",
  ): Promise<StoredFunction | undefined> {
    return this.#db.transaction(async (tx) => {
      const [row] = await tx.select().from(functions).where(eq(functions.name, name)).for("update");
      if (!row) return undefined;
      for (const { version } of traffic.shares) {
        const [found] = await tx
          .select({ version: versions.version })
          .from(versions)
          .where(and(eq(versions.functionId, row.id), eq(versions.version, version)));
        if (!found) return undefined;
      }
      await route(tx, row.id, traffic);
      await tx.insert(deployments).values(trail(row.id, name, action, mainVersion(traffic), by));
      return readFunction(tx, this.#vault, name);
    });
  }

  /** Whether requests at the edge must show a key; undefined when the function does not exist. */
  async setKeyRequired(name: string, keyRequired: boolean): Promise<StoredFunction | undefined> {
    return this.#db.transaction(async (tx) => {
      const [row] = await tx
        .update(functions)
        .set({ keyRequired, ...changed() })
        .where(eq(functions.name, name))
        .returning({ id: functions.id });
      return row && readFunction(tx, this.#vault, name);
    });
  }

  /** Removes a function with all its versions and secrets; its invocations stay. False when there is none of that name. */
  async remove(name: string, by: Actor): Promise<boolean> {
    return this.#db.transaction(async (tx) => {
      const [row] = await tx
        .delete(functions)
        .where(eq(functions.name, name))
        .returning({ id: functions.id });
      if (!row) return false;
      await tx.insert(deployments).values(trail(row.id, name, "delete", null, by));
      return true;
    });
  }

  /** Throws `VaultError` when the secrets were sealed with another key. */
  list(): Promise<StoredFunction[]> {
    return readFunctions(this.#db, this.#vault);
  }

  get(name: string): Promise<StoredFunction | undefined> {
    return readFunction(this.#db, this.#vault, name);
  }

  /** What each function is at: it is the same as long as this is. */
  async revisions(): Promise<{ name: string; id: string; revision: number }[]> {
    const { name, id, revision } = functions;
    return this.#db.select({ name, id, revision }).from(functions);
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
        traffic: functions.traffic,
      })
      .from(versions)
      .innerJoin(functions, eq(functions.id, versions.functionId))
      .innerJoin(
        analyses,
        and(eq(analyses.functionId, versions.functionId), eq(analyses.version, versions.version)),
      )
      .where(eq(versions.functionId, functionId))
      .orderBy(desc(versions.version));
    return rows.map(({ liveVersion, traffic, ...row }) => {
      const { shares } = traffic ?? allTo(liveVersion);
      const percent = shares.find(({ version }) => version === row.version)?.percent ?? 0;
      return { ...row, live: row.version === liveVersion, percent };
    });
  }

  async artifact(functionId: string, version: number): Promise<Uint8Array | undefined> {
    const [row] = await this.#db
      .select({ artifact: versions.artifact })
      .from(versions)
      .where(and(eq(versions.functionId, functionId), eq(versions.version, version)));
    return row?.artifact;
  }

  /** Puts the same version, built again for another engine, in the place of its artefact. */
  async replaceArtifact(functionId: string, version: number, artifact: Uint8Array): Promise<void> {
    await this.#db
      .update(versions)
      .set(artifactColumns(artifact, createHash("sha256").update(artifact).digest("hex")))
      .where(and(eq(versions.functionId, functionId), eq(versions.version, version)));
  }

  /** The trail of one name, newest first. */
  async deployments(name: string, limit = 100) {
    return this.#db
      .select()
      .from(deployments)
      .where(eq(deployments.functionName, name))
      .orderBy(desc(deployments.timestamp))
      .limit(limit);
  }
}

/** What every change of a function sets. */
export const changed = () => ({ updatedAt: new Date(), revision: sql`${functions.revision} + 1` });

const artifactColumns = (artifact: Uint8Array, artifactHash: string) => ({
  artifactHash,
  artifact,
  artifactBytes: artifact.byteLength,
});

async function knownVersion(
  tx: Transaction,
  functionId: string,
  artifactHash: string,
  config: FunctionConfig,
): Promise<number | undefined> {
  const [row] = await tx
    .select({ version: versions.version })
    .from(versions)
    .where(
      and(
        eq(versions.functionId, functionId),
        eq(versions.artifactHash, artifactHash),
        sql`${versions.config} = ${JSON.stringify(config)}::jsonb`,
      ),
    )
    .orderBy(desc(versions.version))
    .limit(1);
  return row?.version;
}

async function insertVersion(
  tx: Transaction,
  functionId: string,
  artifactHash: string,
  { artifact, config, analysis }: DeployInput,
): Promise<number> {
  const [highest] = await tx
    .select({ version: max(versions.version) })
    .from(versions)
    .where(eq(versions.functionId, functionId));
  const version = (highest?.version ?? 0) + 1;
  await tx
    .insert(versions)
    .values({ functionId, version, config, ...artifactColumns(artifact, artifactHash) });
  await tx.insert(analyses).values({ functionId, version, findings: storable(analysis.findings) });
  return version;
}

async function route(tx: Transaction, functionId: string, traffic: Traffic): Promise<void> {
  await tx
    .update(functions)
    .set({
      liveVersion: mainVersion(traffic),
      traffic: traffic.shares.length > 1 ? traffic : null,
      ...changed(),
    })
    .where(eq(functions.id, functionId));
}

function trail(
  functionId: string,
  functionName: string,
  action: "deploy" | "rollback" | "delete" | "traffic",
  version: number | null,
  by: Actor,
) {
  const { actor, requestId } = by;
  return { id: randomUUID(), functionId, functionName, action, version, actor, requestId };
}
