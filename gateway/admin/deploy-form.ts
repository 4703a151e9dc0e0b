import { PlatformError } from "../errors.ts";
import { parseJson } from "./input.ts";
import type { Form } from "./operation.ts";

interface Field {
  /** As OpenAPI describes it. */
  schema: object;
  read(field: string, value: string | File): unknown;
  /** Comes any number of times, each time under its file name, and makes this record of the deployment. */
  collects?: "files" | "assets";
}

const binary = (contentMediaType: string) => ({ type: "string", contentMediaType });

const text: Field = { schema: { type: "string" }, read: (field, value) => textOf(field, value) };

const flag: Field = {
  schema: { type: "string", enum: ["true", "false"] },
  read: (field, value) => {
    if (value !== "true" && value !== "false") throw invalid(field, "must be true or false");
    return value === "true";
  },
};

const base64: Field["read"] = async (field, value) =>
  Buffer.from(await fileOf(field, value).arrayBuffer()).toString("base64");

const FIELDS: Record<string, Field> = {
  name: text,
  entry: text,
  fileName: text,
  config: {
    schema: { type: "string", contentMediaType: "application/json" },
    read: (field, value) => parseJson(Buffer.from(textOf(field, value)), field),
  },
  allowUnannotated: flag,
  withoutTraffic: flag,
  module: {
    schema: { ...binary("application/wasm"), description: "a WebAssembly file, in place of sources" },
    read: base64,
  },
  asset: {
    schema: {
      type: "array",
      items: binary("application/octet-stream"),
      description: "what a module finds in /, each by its file name",
    },
    read: base64,
    collects: "assets",
  },
  file: {
    schema: { type: "array", items: binary("text/plain"), description: "sources, each by its file name" },
    read: sourceText,
    collects: "files",
  },
};

/**
 * A deployment as a form, the way `curl -F` sends one: `name`, `entry`, `config` (JSON), flags as `true` or `false`, and as files either
 * `module` (a `.wasm`) with what it finds in `/` as `asset`, or sources as `file`; those are named by their file names.
 */
export const deploymentForm: Form = {
  schema: {
    type: "object",
    properties: Object.fromEntries(Object.entries(FIELDS).map(([name, { schema }]) => [name, schema])),
    required: ["name"],
    additionalProperties: false,
  },

  /** Throws `invalid_input`. */
  async read(form) {
    const input: Record<string, unknown> = {};
    let moduleName: string | undefined;
    const collected: Record<string, Record<string, unknown>> = {};
    for (const [field, value] of form) {
      const known = Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined;
      if (!known) throw invalid(field, "is no field of a deployment");
      const read = await known.read(field, value);
      if (known.collects) {
        collected[known.collects] ??= Object.create(null) as Record<string, unknown>;
        once(collected[known.collects]!, (value as File).name, read);
      } else once(input, field, read);
      if (field === "module") moduleName = (value as File).name || undefined;
    }
    if (moduleName !== undefined) input.fileName ??= moduleName;
    for (const [name, record] of Object.entries(collected)) input[name] = { ...record };
    return input;
  },
};

function once(record: Record<string, unknown>, key: string, value: unknown): void {
  if (Object.hasOwn(record, key)) throw invalid(key, "comes twice");
  record[key] = value;
}

function textOf(field: string, value: string | File): string {
  if (typeof value === "string") return value;
  throw invalid(field, "must be text, and is a file");
}

function fileOf(field: string, value: string | File): File {
  if (typeof value !== "string") return value;
  throw invalid(field, "must be a file");
}

async function sourceText(field: string, value: string | File): Promise<string> {
  const file = fileOf(field, value);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw invalid(file.name, "is not UTF-8 text");
  }
}

const invalid = (field: string, problem: string) =>
  new PlatformError("invalid_input", `${JSON.stringify(field.slice(0, 200))} ${problem}`);
