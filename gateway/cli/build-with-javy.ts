import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, extname, join } from "node:path";
import { promisify } from "node:util";
import type { ModuleInput } from "../../compiler/wasm-module/build-module.ts";
import { CliError } from "./cli-error.ts";

/** Variable that says where Javy's compiler is. */
const binaryVariable = "THIMBLE_JAVY";

/**
 * A WASI module from a JavaScript file, made by Javy's compiler (`javy build`), which is not part of this project.
 *
 * @throws CliError where none is configured, and what it says when it fails.
 */
export async function buildWithJavy(path: string): Promise<ModuleInput> {
  const binary = process.env[binaryVariable];
  if (!binary) {
    const message = `--engine javy needs Javy's compiler: set ${binaryVariable} to its path`;
    throw new CliError(message, { exitCode: 2, code: "usage" });
  }
  const folder = await mkdtemp(join(tmpdir(), "thimble-javy-"));
  try {
    const output = join(folder, "function.wasm");
    await promisify(execFile)(binary, ["build", path, "-o", output]);
    const module = await readFile(output);
    return { module, fileName: `${basename(path, extname(path))}.wasm`, config: { stdio: "json" } };
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: string; message: string };
    throw new CliError(`${binary} failed: ${stderr?.trim() || message}`, { code: "compile_failed", cause });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
