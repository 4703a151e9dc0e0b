import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/**
 * `npm run test:hosts [-- node24 | deno]`: the suite on the other hosts that Thimble supports, from npm, in a folder of their own: their
 * commands have the names of those that the project itself runs on.
 */

const folder = fileURLToPath(new URL(".", import.meta.url));
const root = fileURLToPath(new URL("../..", import.meta.url));

/** What runs in one process: sandboxes, the web platform in them, metering, compiling, and the gateway's parts. */
const portable =
  /^(pristine|image-store|track-writes|isolation|cpu-time|concurrency|limits|hostile-guest|streaming|web-platform|dynamic-code|guest-.*|metering|metering-loops|wasm|wasm-limits|analyze|bundle|edge-target|admission|config|wasi-module|embedding)\.test\.ts$/;

interface Host {
  /** Files of the suite that it runs. */
  takes: RegExp;
  command(files: string[]): string[];
}

const hosts: Record<string, Host> = {
  node24: {
    // and the gateway with its processes and databases
    takes: new RegExp(`${portable.source}|^(edge|builder|broker|system-functions)\\.test\\.ts$`),
    command: (files) => [`${folder}node_modules/node/bin/node`, "--test", ...files],
  },
  deno: {
    takes: portable,
    command: (files) => [
      `${folder}node_modules/.bin/deno`,
      ...["test", "--allow-all", "--no-check", "--no-lock", "--node-modules-dir=manual"],
      ...files,
    ],
  },
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(hosts);
const unknown = wanted.filter((name) => !(name in hosts));
if (unknown.length > 0) {
  console.error(`There is no host ${unknown.join(", ")}; there are: ${Object.keys(hosts).join(", ")}`);
  process.exit(2);
}

if (!existsSync(`${folder}node_modules/.package-lock.json`)) {
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder, stdio: "inherit" });
  if (status !== 0) throw new Error("the hosts could not be installed");
}
const files = (await readdir(`${root}test`)).sort();
for (const name of wanted) {
  const { takes, command } = hosts[name]!;
  const [program, ...args] = command(files.filter((file) => takes.test(file)).map((file) => `test/${file}`));
  console.log(`\n${name}: ${spawnSync(program!, ["--version"], { encoding: "utf8" }).stdout.split("\n")[0]}`);
  const child = spawn(program!, args, { cwd: root, stdio: "inherit" });
  const [code] = await once(child, "exit");
  if (code !== 0) process.exitCode = 1;
}
