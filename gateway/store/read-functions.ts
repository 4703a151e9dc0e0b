import { and, eq, inArray, or, type SQL, sql } from "drizzle-orm";
import type { FunctionConfig } from "../../compiler/types.ts";
import { allTo, type Traffic } from "../traffic.ts";
import type { Database, Transaction } from "./connect.ts";
import { apiKeys, functionSecrets, functions, versions } from "./schema.ts";
import type { Vault } from "./vault.ts";

/** A version that can answer. */
export interface VersionRef {
  version: number;
  /** SHA-256 of the artefact, hexadecimal. */
  artifactHash: string;
  config: FunctionConfig;
}

/** A key that a protected function takes. */
export interface InvocationKey {
  /** SHA-256, hexadecimal. */
  hash: string;
  /** Milliseconds since 1970; null: never. */
  expiresAtMs: number | null;
}

/** Everything about a function that its executions depend on, but for the artefacts. */
export interface StoredFunction {
  id: string;
  name: string;
  /** The version with the largest share of the traffic. */
  liveVersion: number;
  /** The live version's. */
  config: FunctionConfig;
  revision: number;
  traffic: Traffic;
  /** Those with traffic, and the newest others for previews. Newest first. */
  versions: VersionRef[];
  /** In the clear. */
  variables: Record<string, string>;
  /** The keys of which a request must show one; null: none is asked for. */
  keys: InvocationKey[] | null;
  createdAt: Date;
  updatedAt: Date;
}

/** Versions without traffic that have a preview. */
export const PREVIEWED_VERSIONS = 10;

/** What a sealed value belongs to. */
export const secretOwner = (functionId: string, key: string): string => `${functionId}/${key}`;

export async function readFunction(
  db: Database | Transaction,
  vault: Vault,
  name: string,
): Promise<StoredFunction | undefined> {
  return (await readFunctions(db, vault, eq(functions.name, name)))[0];
}

/** By name. Throws `VaultError`. */
export async function readFunctions(
  db: Database | Transaction,
  vault: Vault,
  which?: SQL,
): Promise<StoredFunction[]> {
  const rows = await db.select().from(functions).where(which).orderBy(functions.name);
  if (rows.length === 0) return [];
  const only = which && rows.map(({ id }) => id);
  const [refs, variables, keys] = [
    await readVersions(db, only),
    await readVariables(db, vault, only),
    rows.some(({ keyRequired }) => keyRequired) ? await readKeys(db) : [],
  ];
  return rows.flatMap(({ keyRequired, traffic, ...row }) => {
    const own = refs.get(row.id) ?? [];
    const live = own.find(({ version }) => version === row.liveVersion);
    if (!live) return [];
    return {
      ...row,
      config: live.config,
      traffic: traffic ?? allTo(row.liveVersion),
      versions: own,
      variables: variables.get(row.id) ?? {},
      keys: keyRequired
        ? keys.filter(({ of }) => of === null || of === row.name).map(({ key }) => key)
        : null,
    };
  });
}

async function readVersions(
  db: Database | Transaction,
  ids: string[] | undefined,
): Promise<Map<string, VersionRef[]>> {
  const ranked = db.$with("ranked").as(
    db
      .select({
        functionId: versions.functionId,
        version: versions.version,
        artifactHash: versions.artifactHash,
        config: versions.config,
        rank: sql<number>`row_number() over (partition by ${versions.functionId} order by ${versions.version} desc)`.as(
          "rank",
        ),
      })
      .from(versions)
      .where(ids && inArray(versions.functionId, ids)),
  );
  const rows = await db
    .with(ranked)
    .select({
      functionId: ranked.functionId,
      version: ranked.version,
      artifactHash: ranked.artifactHash,
      config: ranked.config,
    })
    .from(ranked)
    .innerJoin(functions, eq(functions.id, ranked.functionId))
    .where(
      or(
        sql`${ranked.rank} <= ${PREVIEWED_VERSIONS}`,
        eq(ranked.version, functions.liveVersion),
        sql`exists (select from jsonb_array_elements(${functions.traffic}->'shares') share
          where (share->>'version')::int = ${ranked.version})`,
      ),
    )
    .orderBy(sql`${ranked.version} desc`);
  const byFunction = new Map<string, VersionRef[]>();
  for (const { functionId, ...ref } of rows) {
    const list = byFunction.get(functionId);
    if (list) list.push(ref);
    else byFunction.set(functionId, [ref]);
  }
  return byFunction;
}

async function readVariables(
  db: Database | Transaction,
  vault: Vault,
  ids: string[] | undefined,
): Promise<Map<string, Record<string, string>>> {
  const rows = await db
    .select()
    .from(functionSecrets)
    .where(ids && inArray(functionSecrets.functionId, ids))
    .orderBy(functionSecrets.key);
  const byFunction = new Map<string, Record<string, string>>();
  for (const { functionId, key, sealed } of rows) {
    const record = byFunction.get(functionId) ?? Object.create(null);
    record[key] = vault.open(sealed, secretOwner(functionId, key));
    byFunction.set(functionId, record);
  }
  return byFunction;
}

async function readKeys(db: Database | Transaction): Promise<{ of: string | null; key: InvocationKey }[]> {
  const rows = await db
    .select()
    .from(apiKeys)
    .where(
      and(
        sql`${apiKeys.revokedAt} is null`,
        sql`(${apiKeys.expiresAt} is null or ${apiKeys.expiresAt} > now())`,
        sql`${apiKeys.scopes} ?| array['invoke', 'admin']`,
      ),
    );
  return rows.map(({ functionName, hash, expiresAt }) => ({
    of: functionName,
    key: { hash, expiresAtMs: expiresAt?.getTime() ?? null },
  }));
}
