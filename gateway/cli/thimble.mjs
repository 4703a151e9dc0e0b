#!/usr/bin/env node
// Plain JavaScript, for whatever Node starts it: the program itself is TypeScript and needs Node 24.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST = 24;

if (Number(process.versions.node.split(".")[0]) >= OLDEST) {
  await import("./main.ts");
} else {
  const node = bundledNode();
  if (!node) {
    console.error(
      `thimble needs Node ${OLDEST} or newer; this is ${process.version}. Run \`npm install\` first.`,
    );
    process.exit(1);
  }
  const child = spawn(
    node,
    [fileURLToPath(new URL("./main.ts", import.meta.url)), ...process.argv.slice(2)],
    { stdio: "inherit" },
  );
  // The terminal signals both; a supervisor only us.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}

/** The Node that is a dependency of the project. */
function bundledNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve("node/package.json");
    const path = join(dirname(manifest), "bin", process.platform === "win32" ? "node.exe" : "node");
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}
