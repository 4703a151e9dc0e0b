import { parentPort } from "node:worker_threads";
import { examine } from "./examine.ts";
import { Generator } from "./generate.ts";

const generator = new Generator();
process.on("exit", () => generator.close());
parentPort!.on("message", async (seed: number | undefined) => {
  if (seed === undefined) process.exit();
  parentPort!.postMessage(await examine(generator, seed, () => parentPort!.postMessage("ends")));
});
