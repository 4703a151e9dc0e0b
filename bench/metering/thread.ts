import { parentPort, workerData } from "node:worker_threads";
import { type Treatment, treatAllModules } from "./webassembly.ts";
import type { Group } from "./workloads.ts";

/** One treatment of one group's modules; runs what it is asked for and answers with the time and the result. */
const { group, treatment } = workerData as { group: Group; treatment: Treatment };
treatAllModules(treatment);
const { workloads } = await import("./workloads.ts");
const all = await workloads[group]();
const port = parentPort!;
port.on("message", (name: string) => {
  const began = performance.now();
  const result = all[name]!();
  const ms = performance.now() - began;
  port.postMessage({
    ms,
    result: result instanceof Uint8Array ? Buffer.from(result).toString("hex") : result,
  });
});
port.postMessage(Object.keys(all));
