import { z } from "zod";
import { readBody } from "../body.ts";
import { PlatformError } from "../errors.ts";
import { FUNCTION_NAME } from "../function-name.ts";
import { SCOPES } from "../scope.ts";
import { MAX_SECRET_CHARACTERS } from "../store/secrets.ts";
import type { Traffic } from "../traffic.ts";
import { functionConfigSchema } from "./config-schema.ts";
import type { Form } from "./operation.ts";

/** Sources, bundle and source map together. */
const MAX_ADMIN_BODY_BYTES = 64 * 1048576;

/** Most versions that share a function's traffic. */
const MAX_SPLIT = 10;

const RESERVED_KEYS = new Set([
  "FUNCTION_TIMEOUT_MS",
  "FUNCTION_MAX_MEMORY_MB",
  "DB_TIMEOUT_MS",
  "__proto__",
]);

const count = z.int().min(1);

const line = z.string().max(2_000);

const findingSchema = z.strictObject({
  rule: line,
  severity: z.enum(["error", "warning"]),
  message: line,
  hint: line,
  file: line,
  line: count,
  column: count,
  sourceLine: line,
  package: line.optional(),
});

export const deploySchema = z.strictObject({
  name: z.string(),
  /** Sources, by path. */
  files: z.record(z.string(), z.string()).default({}),
  entry: z.string().optional(),
  /** A WebAssembly module or component in base64, in place of sources. */
  module: z.string().optional(),
  /** Its name in findings. */
  fileName: z.string().max(255).optional(),
  /** What a module finds in `/`, by path, in base64. */
  assets: z.record(z.string(), z.string()).optional(),
  config: functionConfigSchema.optional(),
  bundle: z
    .strictObject({
      code: z.string(),
      map: z.string(),
      warnings: z.array(findingSchema).max(1_000).optional(),
    })
    .optional(),
  /** A missing `@function` is a warning for this deployment. */
  allowUnannotated: z.boolean().optional(),
  /** Stores the version and leaves the traffic where it is. */
  withoutTraffic: z.boolean().optional(),
});

const percent = z
  .number()
  .gt(0, "must be over 0")
  .max(100)
  .multipleOf(0.01, "must have two decimals at most");

/** `{"3": 90, "4": 10, "sticky": "cookie"}`. */
export const trafficSchema = z
  .object({
    sticky: z
      .union([z.literal("cookie"), z.templateLiteral(["header:", z.string().regex(/^[\w-]{1,64}$/)])])
      .optional(),
  })
  .catchall(percent)
  .transform(({ sticky, ...shares }, { addIssue }): Traffic => {
    const versions = Object.keys(shares);
    const bad = versions.find((version) => !/^[1-9]\d{0,8}$/.test(version));
    if (bad !== undefined) addIssue(`${JSON.stringify(bad.slice(0, 40))} is not a version number`);
    const sum = Object.values(shares).reduce<number>((total, share) => total + Number(share), 0);
    if (Math.abs(sum - 100) > 1e-6) addIssue(`the percentages add up to ${sum}, not to 100`);
    if (versions.length > MAX_SPLIT) addIssue(`at most ${MAX_SPLIT} versions can share the traffic`);
    const list = versions.map((version) => ({ version: Number(version), percent: Number(shares[version]) }));
    return { shares: list.sort((a, b) => a.version - b.version), ...(sticky && { sticky }) };
  });

/** Names of a function's variables; those of the platform cannot be set. */
const secretKey = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be a name of letters, digits and _ (at most 128)")
  .refine((key) => !RESERVED_KEYS.has(key), "is set by the platform");

const secretValue = z
  .string()
  .max(MAX_SECRET_CHARACTERS)
  .refine((value) => !value.includes("\0"), "must not hold NUL");

export const secretKeySchema = z.object({ key: secretKey });
export const secretSchema = z.strictObject({ value: secretValue });
export const secretsSchema = z
  .record(secretKey, secretValue)
  .refine((values) => Object.keys(values).length > 0, "must name at least one");

export const keySchema = z.strictObject({
  name: z.string().regex(/^[\x20-\x7e]{1,100}$/, "must be 1 to 100 printable ASCII characters"),
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
  /** The only function that it is good for. */
  function: z.string().regex(FUNCTION_NAME, "must be a function's name").optional(),
  /** In the future. */
  expiresAt: z.iso
    .datetime({ offset: true })
    .refine((text) => Date.parse(text) > Date.now(), "must be in the future")
    .optional(),
});

export const accessSchema = z.strictObject({ access: z.enum(["public", "key"]) });

export const rollbackSchema = z.strictObject({ version: count });

const text = z.string();

export const invokeSchema = z.strictObject({
  method: z
    .string()
    .regex(/^[A-Z]{1,20}$/)
    .optional(),
  path: z.string().startsWith("/").optional(),
  query: z.union([text, z.record(text, z.union([text, z.array(text)]))]).optional(),
  headers: z.record(text, text).optional(),
  /** One of the versions with traffic or a preview, whatever the traffic. Default: the one with the largest share. */
  version: count.optional(),
  /** Text is sent as it is, anything else as JSON. */
  body: z.unknown().optional(),
  /** For a body that is no text. */
  bodyEncoding: z.enum(["utf8", "base64"]).optional(),
});

export type InvokeInput = z.infer<typeof invokeSchema>;

export const limitSchema = z.coerce.number().int().min(1).max(1000).default(100);

export const listQuery = z.object({ limit: limitSchema });

/**
 * The body, checked: JSON, or where there is one for it, a form. Throws `invalid_input` naming the field, and
 * `payload_too_large`.
 */
export async function bodyInput<T>(request: Request, schema: z.ZodType<T>, form?: Form): Promise<T> {
  const bytes = await readBody(request, MAX_ADMIN_BODY_BYTES);
  const type = request.headers.get("content-type") ?? "";
  const isForm = form && type.startsWith("multipart/form-data");
  const value = isForm ? await form.read(await parseForm(bytes, type)) : parseJson(bytes);
  return checked(schema, value, "body");
}

/** JSON text. Throws `invalid_input`; `field` names what it is. */
export function parseJson(bytes: Uint8Array, field = "The request body"): unknown {
  try {
    return parsedJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new PlatformError("invalid_input", `${field} is not valid JSON`, { cause: error });
  }
}

async function parseForm(bytes: Uint8Array, type: string): Promise<FormData> {
  try {
    const headers = { "content-type": type };
    return await new Response(bytes as Uint8Array<ArrayBuffer>, { headers }).formData();
  } catch (error) {
    throw new PlatformError("invalid_input", "The request body is not a valid form", { cause: error });
  }
}

/** Refuses a member `__proto__`, which schemas would pass over without a word. */
function parsedJson(text: string): unknown {
  if (!text.includes("__proto__")) return JSON.parse(text);
  return JSON.parse(text, (key, member: unknown) => {
    if (key === "__proto__") throw new SyntaxError("a member is called __proto__");
    return member;
  });
}

/** A value checked against a schema. Throws `invalid_input` naming the field; `root` names the value itself. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, root: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.length > 0 ? issue.path.join(".") : root;
  // Of a record's key, what is wrong stands one level deeper.
  const { message } = issue.code === "invalid_key" ? (issue.issues[0] ?? issue) : issue;
  throw new PlatformError("invalid_input", `${field.slice(0, 200)}: ${message}`);
}
