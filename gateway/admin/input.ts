import { z } from "zod";
import { readBody } from "../body.ts";
import { PlatformError } from "../errors.ts";
import { TIMEOUT_RANGE_MS } from "../settings.ts";

/** Sources, bundle and source map together. */
const MAX_ADMIN_BODY_BYTES = 64 * 1048576;

const count = z.int().min(1);

const configSchema = z
  .strictObject({
    timeoutMs: z.int().min(TIMEOUT_RANGE_MS.min).max(TIMEOUT_RANGE_MS.max),
    memoryMb: z.int().min(4).max(4096),
    concurrency: count.max(10_000),
    fuel: count,
    egress: z.array(z.string().max(253)).max(100),
    database: z.enum(["read", "write", "none"]),
    warmup: z.string().startsWith("/").max(2048),
  })
  .partial();

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
  files: z.record(z.string(), z.string()),
  entry: z.string().optional(),
  config: configSchema.optional(),
  bundle: z
    .strictObject({
      code: z.string(),
      map: z.string(),
      warnings: z.array(findingSchema).max(1_000).optional(),
    })
    .optional(),
  /** A missing `@function` is a warning for this deployment. */
  allowUnannotated: z.boolean().optional(),
});

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
  /** Text is sent as it is, anything else as JSON. */
  body: z.unknown().optional(),
  /** For a body that is no text. */
  bodyEncoding: z.enum(["utf8", "base64"]).optional(),
});

export type InvokeInput = z.infer<typeof invokeSchema>;

export const limitSchema = z.coerce.number().int().min(1).max(1000).default(100);

/** The JSON body, checked. Throws `invalid_input` naming the field. */
export async function jsonInput<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const bytes = await readBody(request, MAX_ADMIN_BODY_BYTES);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new PlatformError("invalid_input", "The request body is not valid JSON", { cause: error });
  }
  return checked(schema, value, "body");
}

/** A value checked against a schema. Throws `invalid_input` naming the field; `root` names the value itself. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, root: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue && issue.path.length > 0 ? issue.path.join(".") : root;
  throw new PlatformError("invalid_input", `${field}: ${issue?.message ?? "is not valid"}`);
}
