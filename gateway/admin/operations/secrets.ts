import { PlatformError } from "../../errors.ts";
import { MAX_SECRET_CHARACTERS, MAX_SECRETS, TooManySecretsError } from "../../store/secrets.ts";
import { rotationDocument, secretChangeDocument, secretsDocument } from "../documents.ts";
import { checked, secretKeySchema, secretSchema, secretsSchema } from "../input.ts";
import { type Call, operation } from "../operation.ts";

/** Variables and secrets: they go in, take effect at once as a new revision, and never come out again. */
export const secretOperations = [
  operation({
    method: "get",
    path: "/v1/functions/:name/secrets",
    scope: "read",
    summary: "The names of a function's variables and secrets",
    answer: { status: 200, schema: secretsDocument },
    errors: ["function_not_found"],
    async handle({ c, deps: { catalog, store }, param }) {
      const { id } = catalog.get(param("name"));
      return c.json({ secrets: await store.secrets.names(id) });
    },
  }),
  operation({
    method: "put",
    path: "/v1/functions/:name/secrets",
    scope: "deploy",
    summary: "Set several, all or none; others stay",
    body: secretsSchema,
    answer: { status: 200, schema: secretChangeDocument },
    errors: ["function_not_found"],
    handle: (call) => set(call, call.body),
  }),
  operation({
    method: "put",
    path: "/v1/functions/:name/secrets/:key",
    scope: "deploy",
    summary: "Set one",
    body: secretSchema,
    answer: { status: 200, schema: secretChangeDocument },
    errors: ["function_not_found"],
    handle(call) {
      const { key } = checked(secretKeySchema, { key: call.param("key") }, "key");
      return set(call, { [key]: call.body.value });
    },
  }),
  operation({
    method: "delete",
    path: "/v1/functions/:name/secrets",
    scope: "deploy",
    summary: "Remove all",
    answer: { status: 200, schema: secretChangeDocument },
    errors: ["function_not_found"],
    handle: (call) => remove(call),
  }),
  operation({
    method: "delete",
    path: "/v1/functions/:name/secrets/:key",
    scope: "deploy",
    summary: "Remove one",
    answer: { status: 200, schema: secretChangeDocument },
    errors: ["function_not_found", "secret_not_found"],
    handle: (call) => remove(call, call.param("key")),
  }),
  operation({
    method: "post",
    path: "/v1/master-key/rotation",
    scope: "admin",
    summary:
      "Seal all secrets with a new master key; where the keys are in THIMBLE_MASTER_KEY, with the first of them",
    answer: { status: 200, schema: rotationDocument },
    errors: [],
    async handle({ c, deps }) {
      const rotated = await deps.store.secrets.rotateKey();
      deps.log.info({ requestId: c.get("requestId"), ...rotated }, "master key rotated");
      return c.json(rotated);
    },
  }),
];

async function set({ c, deps, param }: Call<unknown, unknown>, values: Record<string, string>) {
  const name = param("name");
  try {
    const { revision } = await deps.deployer.change(name, () => deps.store.secrets.set(name, values));
    deps.log.info(
      { requestId: c.get("requestId"), function: name, keys: Object.keys(values) },
      "secrets set",
    );
    return c.json({ revision });
  } catch (error) {
    if (!(error instanceof TooManySecretsError)) throw error;
    throw new PlatformError(
      "invalid_input",
      `A function can have ${MAX_SECRETS} secrets at most, of ${MAX_SECRET_CHARACTERS} characters together`,
    );
  }
}

async function remove({ c, deps, param }: Call<unknown, unknown>, key?: string) {
  const name = param("name");
  const { revision } = await deps.deployer.change(name, async () => {
    const changed = await deps.store.secrets.remove(name, key);
    if (changed || key === undefined) return changed;
    throw new PlatformError("secret_not_found", `${name} has no secret ${JSON.stringify(key.slice(0, 128))}`);
  });
  deps.log.info({ requestId: c.get("requestId"), function: name, key: key ?? "all" }, "secrets removed");
  return c.json({ revision });
}
