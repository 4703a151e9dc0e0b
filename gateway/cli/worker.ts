// The program of a worker process.
import { Engine } from "../../runtime/engine.ts";
import { connectBroker } from "../broker/broker-client.ts";
import { runWorker } from "../processes/worker.ts";
import { createEdgeParts } from "./wiring.ts";

runWorker(async (config, engine, brokerSocket) =>
  createEdgeParts(config, await Engine.compile(new Uint8Array(engine)), connectBroker(brokerSocket)),
);
