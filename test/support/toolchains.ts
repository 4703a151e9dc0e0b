import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as yowasp from "@yowasp/clang";
import asc from "assemblyscript/asc";

/** Compilers to WebAssembly that run from npm, for modules as their users make them. */

// its types leave this one out
const { runClang } = yowasp as unknown as { runClang: typeof yowasp.runLLVM };

export interface ClangOptions {
  /** A reactor: no `main`, an export `handler`. */
  reactor?: boolean;
  language?: "c" | "c++";
  flags?: string[];
}

/** A WASI program in C or C++. */
export async function compileC(
  source: string,
  { reactor = false, language = "c", flags = [] }: ClangOptions = {},
): Promise<Uint8Array> {
  const [driver, file] = language === "c" ? ["clang", "main.c"] : ["clang++", "main.cc"];
  const args = [
    driver!,
    "-O2",
    ...(reactor ? ["-mexec-model=reactor"] : []),
    ...flags,
    file!,
    "-o",
    "main.wasm",
  ];
  const files = await runClang(args, { [file!]: source }, { stdout: null, fetchProgress: () => {} });
  return files!["main.wasm"] as Uint8Array;
}

/** A module in AssemblyScript. */
export async function compileAssemblyScript(source: string, flags: string[] = []): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "thimble-asc-"));
  try {
    await writeFile(join(folder, "main.ts"), source);
    const { error, stderr } = await asc.main(
      ["main.ts", "--outFile", "main.wasm", "-O3", "--baseDir", folder, ...flags],
      {},
    );
    if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
    return await readFile(join(folder, "main.wasm"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
