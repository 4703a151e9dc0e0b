import { parentPort, workerData } from "node:worker_threads";
import { examine } from "./examine.ts";
import { Generator } from "./generate.ts";

// most of the time of a trap
Error.stackTraceLimit = 0;
const generator = new Generator(workerData as string);
parentPort!.on("message", async (seed: number) => {
  parentPort!.postMessage(await examine(generator, seed, () => parentPort!.postMessage("ends")));
});
