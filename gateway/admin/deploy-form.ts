import { PlatformError } from "../errors.ts";
import { parseJson } from "./input.ts";

/** What a deployment may say in text. */
const TEXT_FIELDS = new Set(["name", "entry", "fileName"]);
const FLAGS = new Set(["allowUnannotated", "withoutTraffic"]);

/**
 * A deployment as a form, the way `curl -F` sends one: `name`, `entry`, `config` (JSON), flags as `true` or `false`, and as files either
 * `module` (a `.wasm`) with what it finds in `/` as `asset`, or sources as `file`; those are named by their file names. Throws
 * `invalid_input`.
 */
export async function deploymentOfForm(form: FormData): Promise<Record<string, unknown>> {
  const input: Record<string, unknown> = {};
  const files: Record<string, string> = Object.create(null);
  const assets: Record<string, string> = Object.create(null);
  for (const [field, value] of form) {
    if (typeof value === "string") {
      once(input, field, textField(field, value));
    } else if (field === "module") {
      once(input, field, await base64(value));
      if (value.name) input.fileName ??= value.name;
    } else if (field === "asset") {
      once(assets, value.name, await base64(value));
    } else if (field === "file") {
      once(files, value.name, await sourceText(value));
    } else throw invalid(field, "is no file");
  }
  if (Object.keys(files).length > 0) input.files = { ...files };
  if (Object.keys(assets).length > 0) input.assets = { ...assets };
  return input;
}

function textField(field: string, value: string): unknown {
  if (TEXT_FIELDS.has(field)) return value;
  if (field === "config") return parseJson(Buffer.from(value), "config");
  if (!FLAGS.has(field)) throw invalid(field, "is no field of a deployment, or must be a file");
  if (value !== "true" && value !== "false") throw invalid(field, "must be true or false");
  return value === "true";
}

function once(record: Record<string, unknown>, key: string, value: unknown): void {
  if (Object.hasOwn(record, key)) throw invalid(key, "comes twice");
  record[key] = value;
}

const base64 = async (file: File) => Buffer.from(await file.arrayBuffer()).toString("base64");

async function sourceText(file: File): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw invalid(file.name, "is not UTF-8 text");
  }
}

const invalid = (field: string, problem: string) =>
  new PlatformError("invalid_input", `${JSON.stringify(field.slice(0, 200))} ${problem}`);
