import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Command, Option } from "commander";
import type { FunctionConfig, Stdio } from "../../compiler/types.ts";
import type { ModuleInput } from "../../compiler/wasm-module/build-module.ts";
import { CliError } from "./cli-error.ts";

/** Flags that are for WebAssembly files only. */
export interface ModuleOptions {
  files?: string;
  stdio?: Stdio;
  arg?: string[];
}

/** Adds {@link ModuleOptions} to a command. */
export function withModuleOptions(command: Command): Command {
  const collect = (value: string, before: string[] = []) => [...before, value];
  return command
    .option("--files <folder>", "of a .wasm: what the module finds in /")
    .addOption(
      new Option("--stdio <kind>", "of a .wasm: what goes over standard input and output").choices([
        "http",
        "json",
        "raw",
      ]),
    )
    .option("--arg <text>", "of a .wasm: an argument; may be repeated", collect);
}

/** The WebAssembly file at a path, with its options; undefined for anything else there. */
export async function readModuleInput(
  path: string,
  options: ModuleOptions,
): Promise<ModuleInput | undefined> {
  const module = await wasmFile(path);
  const { files, stdio, arg } = options;
  if (!module) {
    const given = Object.entries({ files, stdio, arg }).find(([, value]) => value !== undefined);
    if (!given) return undefined;
    throw new CliError(`--${given[0]} is for WebAssembly files, and ${path} is none`, {
      exitCode: 2,
      code: "usage",
    });
  }
  const config: FunctionConfig = { ...(stdio && { stdio }), ...(arg && { args: arg }) };
  return {
    module,
    fileName: basename(path),
    config,
    ...(files !== undefined && { files: await readFolder(files) }),
  };
}

async function wasmFile(path: string): Promise<Uint8Array | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return undefined;
  const bytes = await readFile(path);
  return bytes.subarray(0, 4).equals(Buffer.from("\0asm")) ? bytes : undefined;
}

async function readFolder(folder: string): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = Object.create(null);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (cause: NodeJS.ErrnoException) => {
      throw new CliError(`cannot read the folder ${folder} (${cause.code})`, {
        exitCode: 2,
        code: "usage",
        cause,
      });
    },
  );
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(join(folder, "/").length).replaceAll("\\", "/")] = await readFile(path);
  }
  return files;
}
