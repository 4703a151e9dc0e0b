import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CompileError } from "../errors.ts";

/** The version of WASI that componentize-js is built with: it takes no other. */
const wasiVersion = "0.2.10";
const world = `package thimble:exported;
world server { include wasi:http/proxy@${wasiVersion}; }
`;
/** What stands before the bundle: it registers here instead of in a sandbox. */
const prelude = `
globalThis[Symbol.for("thimble.register")] = (exports) => { globalThis[Symbol.for("thimble.registered")] = exports; };
globalThis[Symbol.for("thimble.modules")] = new Proxy({}, { get: (_, name) => { throw new Error(String(name) + " is not there outside of Thimble"); } });
globalThis.process ??= { env: {} };
globalThis.Deno ??= { env: { get: () => undefined }, serve: (...args) => {
  const options = args.find((arg) => typeof arg === "object" && arg !== null);
  globalThis[Symbol.for("thimble.served")] = args.find((arg) => typeof arg === "function") ?? options?.handler ?? options?.fetch;
} };
`;

/**
 * Makes a function's bundle a component for the world of WASI's HTTP servers, with a JavaScript engine of its own (componentize-js, SpiderMonkey):
 * a way to other hosts. It has no database there, and its limits are the host's.
 *
 * @throws CompileError when the tools are not installed, or the bundle fails in that engine.
 */
export async function exportComponent(bundle: string): Promise<Uint8Array> {
  const tools = await loadTools();
  const folder = await mkdtemp(join(tmpdir(), "thimble-export-"));
  try {
    await writeFile(join(folder, "world.wit"), world);
    await copyInterfaces(tools.interfaces, join(folder, "deps"));
    const adapter = await readFile(new URL("export-adapter.js", import.meta.url), "utf8");
    const sourcePath = join(folder, "function.js");
    await writeFile(sourcePath, `${prelude}\n${bundle}\n${adapter}`);
    const { component } = await tools.componentize({ sourcePath, witPath: folder, worldName: "server" });
    return component;
  } catch (cause) {
    if (cause instanceof CompileError) throw cause;
    throw new CompileError(`the function can't be made a component: ${(cause as Error).message}`, { cause });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function loadTools() {
  try {
    const { componentize } = await import("@bytecodealliance/componentize-js");
    const interfaces = new URL("../lib/wit/builtin/", import.meta.resolve("@bytecodealliance/jco"));
    return { componentize, interfaces: fileURLToPath(interfaces) };
  } catch (cause) {
    const packages =
      "@bytecodealliance/componentize-js @bytecodealliance/jco @bytecodealliance/preview2-shim@0.25.0";
    throw new CompileError(`making components needs tools that are not installed: npm install ${packages}`, {
      cause,
    });
  }
}

/** WASI's interfaces as jco has them, in the version that is asked for: they have not changed since. */
async function copyInterfaces(from: string, to: string): Promise<void> {
  const versions = (await readdir(from)).filter((name) => /^0\.2\.\d+$/.test(name));
  const version = versions.find((name) => existsSync(join(from, name, "wasi-http/package.wit")));
  if (version === undefined) throw new CompileError("jco brings no interfaces of WASI 0.2");
  for (const name of await readdir(join(from, version))) {
    const wit = await readFile(join(from, version, name, "package.wit"), "utf8");
    await mkdir(join(to, name), { recursive: true });
    await writeFile(join(to, name, "package.wit"), wit.replaceAll(version, wasiVersion));
  }
}
