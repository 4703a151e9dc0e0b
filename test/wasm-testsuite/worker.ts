import { readFile } from "node:fs/promises";
import path from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { runScript } from "./script.ts";

// a thread of its own can be ended where metering lets a loop run for ever
parentPort!.on("message", async (script: string) => {
  parentPort!.postMessage(await runScript(await readFile(path.join(workerData, script), "utf8")));
});
