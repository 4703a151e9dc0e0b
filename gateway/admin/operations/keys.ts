import { z } from "zod";
import { PlatformError } from "../../errors.ts";
import type { StoredKey } from "../../store/keys.ts";
import type { AdminDeps } from "../app.ts";
import { auditDocument, keysDocument, newKeyDocument, revokedDocument } from "../documents.ts";
import { keySchema, limitSchema } from "../input.ts";
import { operation } from "../operation.ts";

const auditQuery = z.object({ limit: limitSchema, function: z.string().max(63).optional() });

export const keyOperations = [
  operation({
    method: "post",
    path: "/v1/keys",
    scope: "admin",
    summary: "Make a key; it is shown this once",
    body: keySchema,
    answer: { status: 201, schema: newKeyDocument },
    errors: [],
    async handle({ c, deps, body }) {
      const { key, stored } = await deps.store.keys.create({
        name: body.name,
        scopes: [...new Set(body.scopes)],
        functionName: body.function ?? null,
        expiresAt: body.expiresAt === undefined ? null : new Date(body.expiresAt),
      });
      await refreshProtected(deps);
      deps.log.info({ requestId: c.get("requestId"), keyId: stored.id, scopes: stored.scopes }, "key made");
      return c.json({ key, ...view(stored) }, 201);
    },
  }),
  operation({
    method: "get",
    path: "/v1/keys",
    scope: "admin",
    summary: "All keys, without the keys themselves; the newest first",
    answer: { status: 200, schema: keysDocument },
    errors: [],
    async handle({ c, deps }) {
      return c.json({ keys: (await deps.store.keys.list()).map(view) });
    },
  }),
  operation({
    method: "delete",
    path: "/v1/keys/:id",
    scope: "admin",
    summary: "Revoke a key",
    answer: { status: 200, schema: revokedDocument },
    errors: ["key_not_found"],
    async handle({ c, deps, param }) {
      const id = param("id");
      const revoked = z.uuid().safeParse(id).success ? await deps.store.keys.revoke(id) : undefined;
      if (!revoked)
        throw new PlatformError("key_not_found", `There is no key ${JSON.stringify(id.slice(0, 64))}`);
      await refreshProtected(deps);
      deps.log.info({ requestId: c.get("requestId"), keyId: id }, "key revoked");
      return c.json(view(revoked));
    },
  }),
  operation({
    method: "get",
    path: "/v1/audit",
    scope: "admin",
    summary: "Who changed what, or was refused; the newest first",
    query: auditQuery,
    answer: { status: 200, schema: auditDocument },
    errors: [],
    async handle({ c, deps, query }) {
      return c.json({ entries: await deps.store.audit.recent(query.limit, query.function) });
    },
  }),
];

/** Protected functions carry the keys that they take. */
async function refreshProtected({ catalog, deployer }: AdminDeps): Promise<void> {
  for (const { name, keys } of catalog.list()) if (keys !== null) await deployer.refresh(name);
}

const view = ({ functionName, ...key }: StoredKey) => ({ ...key, function: functionName });
