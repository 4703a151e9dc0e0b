import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, unlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Engine } from "../../runtime/engine.ts";
import { buildEngine, readEngineFiles } from "./build-engine.ts";
import { bundleParts, bundlePrelude, partFiles } from "./prelude.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Folders whose files decide what the engine module looks like. */
const inputFolders = ["compiler/wasm", "compiler/engine", "runtime/guest", "runtime"];

/** The engine, compiled; see {@link loadEngineBytes}. */
export async function loadEngine(cacheDir?: string): Promise<Engine> {
  return Engine.compile(await loadEngineBytes(cacheDir));
}

/**
 * The engine module: built on first use, which takes half a second, then kept in `cacheDir` under the hash of all its inputs.
 * `cacheDir` defaults to `node_modules/.cache/thimble`; a folder that can't be written only costs the time.
 */
export async function loadEngineBytes(
  cacheDir = path.join(root, "node_modules/.cache/thimble"),
): Promise<Uint8Array<ArrayBuffer>> {
  const files = await readEngineFiles();
  const hash = createHash("sha256").update(files.engine);
  for (const name of Object.keys(files.extensions).sort()) hash.update(files.extensions[name]!);
  for (const folder of inputFolders) {
    for (const name of (await readdir(path.join(root, folder))).sort()) {
      if (name.endsWith(".ts")) hash.update(name).update(await readFile(path.join(root, folder, name)));
    }
  }
  for (const file of partFiles()) hash.update(await readFile(file));
  const file = path.join(cacheDir, `engine-${hash.digest("hex").slice(0, 16)}.wasm`);
  const cached = await readFile(file).catch(() => null);
  if (cached) return cached;
  const bytes = await buildEngine({ ...files, prelude: await bundlePrelude(), parts: await bundleParts() });
  await store(file, bytes).catch(() => {});
  return bytes;
}

/** Writes beside the file first, since another process must never read half of it, and removes those of earlier versions. */
async function store(file: string, bytes: Uint8Array): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, bytes);
  await rename(temporary, file);
  for (const name of await readdir(path.dirname(file))) {
    const old = path.join(path.dirname(file), name);
    if (name.startsWith("engine-") && name.endsWith(".wasm") && old !== file) await unlink(old);
  }
}
