import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** Bytes of one file, and of all together, that a function can read at run time: they are in its image, which each request copies. */
const limits = { file: 256 * 1024, total: 1024 * 1024, count: 500 } as const;

const skippedFolders = new Set(["node_modules", "dist", "build", "coverage"]);
const isCode = /\.(?:[cm]?[jt]sx?|map|wasm)$/;

export interface FunctionFiles {
  /** Code of a module that makes the files known to the sandbox. */
  code: string;
  /** Files that are too large. */
  leftOut: string[];
}

/**
 * The files in a function's folder that are no code, hidden ones, packages and build output aside. What is over 256 KiB, or over 1 MiB together
 * in order of their names, is left out.
 */
export async function functionFiles(root: string): Promise<FunctionFiles> {
  const leftOut: string[] = [];
  const entries: string[] = [];
  let total = 0;
  for (const path of await list(root)) {
    const { size } = await stat(join(root, path));
    if (size > limits.file || total + size > limits.total || entries.length >= limits.count) {
      leftOut.push(path);
      continue;
    }
    total += size;
    const bytes = await readFile(join(root, path));
    entries.push(`${JSON.stringify(path)}: ${JSON.stringify(encode(bytes))}`);
  }
  const code = `globalThis[Symbol.for("thimble.modules")]["thimble:files"] = { __proto__: null, ${entries.join(", ")} };\nexport {};\n`;
  return { code, leftOut };
}

/** Text as `t…`, other bytes as `b…` in base64. */
function encode(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return Buffer.from(text).equals(bytes) ? `t${text}` : `b${bytes.toString("base64")}`;
}

async function list(root: string, folder = ""): Promise<string[]> {
  const found: string[] = [];
  for (const item of await readdir(join(root, folder), { withFileTypes: true })) {
    const path = folder === "" ? item.name : `${folder}/${item.name}`;
    if (item.name.startsWith(".")) continue;
    if (item.isDirectory() && !skippedFolders.has(item.name)) found.push(...(await list(root, path)));
    else if (item.isFile() && !isCode.test(item.name)) found.push(path);
  }
  return found.sort();
}
