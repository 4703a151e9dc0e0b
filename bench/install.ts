import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** The benchmarks' own packages, installed when they are missing: nothing else in the project needs them. */
export function installDependencies(): void {
  if (existsSync(`${folder}node_modules/.package-lock.json`)) return;
  const { status, error } = spawnSync("npm", ["ci"], { cwd: folder, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("the benchmarks' packages could not be installed", { cause: error });
}
