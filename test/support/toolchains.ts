import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as yowasp from "@yowasp/clang";
import asc from "assemblyscript/asc";
import { readModule, writeModule } from "../../compiler/wasm/index.ts";

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

const jcoFolder = fileURLToPath(new URL("..", import.meta.resolve("@bytecodealliance/jco")));
/** The project's own world. */
export const functionWit = fileURLToPath(new URL("../../compiler/component/wit", import.meta.url));

/** The version of WASI that componentize-js is built with: it takes no other. */
const wasiOfComponentizeJs = "0.2.10";

/** A world with what `thimble:function` has and WASI's interfaces besides, as a folder that is deleted in the end. */
async function withWit<T>(world: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "thimble-wit-"));
  try {
    await writeFile(join(folder, "world.wit"), world);
    const from = join(jcoFolder, "lib/wit/builtin/0.2.12");
    for (const name of await readdir(from)) {
      const wit = await readFile(join(from, name, "package.wit"), "utf8");
      await mkdir(join(folder, "deps", name), { recursive: true });
      await writeFile(
        join(folder, "deps", name, "package.wit"),
        wit.replaceAll("0.2.12", wasiOfComponentizeJs),
      );
    }
    await cp(functionWit, join(folder, "deps/thimble-function"), { recursive: true });
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The world of a server of WASI's HTTP. */
export const proxyWorld = `package test:component;
world proxy { include wasi:http/proxy@0.2.10; }
`;

/** A component in JavaScript, in QuickJS. */
export async function componentizeQjs(
  jsSource: string,
  world: string,
  worldName: string,
): Promise<Uint8Array> {
  const { componentize } = await import("componentize-qjs");
  return withWit(
    world,
    async (witPath) => (await componentize({ witPath, jsSource, world: worldName, sync: true })).component,
  );
}

/** A component in JavaScript, in SpiderMonkey. */
export async function componentizeJs(source: string, world: string, worldName: string): Promise<Uint8Array> {
  const { componentize } = await import("@bytecodealliance/componentize-js");
  return withWit(world, async (witPath) => {
    const sourcePath = join(witPath, "main.js");
    await writeFile(sourcePath, source);
    const { component } = await componentize({ sourcePath, witPath, worldName });
    return component;
  });
}

/**
 * A component of the project's own world, from a core module whose exports follow the canonical ABI; `renamed` gives them names that their
 * language can't write.
 */
export async function componentOf(
  core: Uint8Array,
  renamed: Record<string, string> = {},
): Promise<Uint8Array> {
  const { componentEmbed, componentNew } = await import("@bytecodealliance/jco-transpile/wasm-tools");
  const module = readModule(core);
  module.exports = module.exports.map((entry) => ({ ...entry, name: renamed[entry.name] ?? entry.name }));
  const witSource = await readFile(join(functionWit, "function.wit"), "utf8");
  const binary = await componentEmbed({ binary: writeModule(module), witSource, world: "function" });
  const adapter = await readFile(join(jcoFolder, "lib/wasi_snapshot_preview1.reactor.wasm"));
  return componentNew(binary, [["wasi_snapshot_preview1", adapter]]);
}

/** A component written in the text format. */
export async function parseComponent(text: string): Promise<Uint8Array> {
  const { parse } = await import("@bytecodealliance/jco-transpile/wasm-tools");
  return parse(text);
}
