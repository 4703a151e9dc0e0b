import { readFile } from "node:fs/promises";
import path from "node:path";
import { loadEngine } from "../compiler/engine/load-engine.ts";
import { edgeConfig, loadConfig } from "../gateway/config.ts";
import { Edge } from "../gateway/edge/edge.ts";
import { silentLogger } from "../gateway/log.ts";
import type { StoredFunction } from "../gateway/store/read-functions.ts";
import { allTo } from "../gateway/traffic.ts";
import { HostError, Runtime } from "../runtime/index.ts";
import { quantile } from "./measure.ts";

/** `node --expose-gc cold-edge.ts <folder of artefacts> <how many there are> <functions>` */
export interface ColdResult {
  startMs: number;
  medianMs: number;
  p99Ms: number;
  warmMs: number;
  deployedKB: number;
  calledKB: number;
  rssMB: number;
}

const [folder, distinctText, countText] = process.argv.slice(2) as [string, string, string];
const [distinct, count] = [Number(distinctText), Number(countText)];

const refuse = async (): Promise<never> => {
  throw new HostError("unavailable", "there is nothing outside of a benchmark");
};
const now = new Date();
const functions = Array.from({ length: count }, (_, i): StoredFunction => {
  const ref = { version: 1, artifactHash: String(i).padStart(64, "0"), config: {} };
  return {
    id: String(i),
    name: `f${i}`,
    liveVersion: 1,
    config: {},
    revision: 1,
    traffic: allTo(1),
    versions: [ref],
    variables: {},
    keys: null,
    createdAt: now,
    updatedAt: now,
  };
});

const memory = (): number => {
  globalThis.gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers) + engine.images.decodedBytes;
};

const config = edgeConfig(loadConfig({ env: { PORT: "0" }, cwd: folder }));
const engine = await loadEngine();
const before = memory();
const began = performance.now();
const edge = new Edge({
  config,
  runtime: new Runtime(engine),
  services: {
    forFunction: () => ({ fetch: refuse, openDatabase: () => ({ query: refuse, release() {}, close() {} }) }),
    close: async () => {},
  } as never,
  catalog: { list: () => functions },
  artifacts: {
    artifact: (id) => readFile(path.join(folder, `${Number(id) % distinct}.wasm`)),
    rebuilt: async () => undefined,
  },
  history: { append: async () => {}, save: async () => {} },
  logs: { append() {} },
  metrics: { executed() {}, refused() {} },
  log: silentLogger(),
});
await edge.open();
const startMs = performance.now() - began;
const deployed = memory();

async function callAll(from: number, to: number): Promise<Float64Array> {
  const times = new Float64Array(to - from);
  for (let i = from; i < to; i++) {
    const start = performance.now();
    const text = await (await fetch(`${edge.url}/f/f${i}`)).text();
    times[i - from] = performance.now() - start;
    if (!text.startsWith(`{"function":${i % distinct},`)) throw new Error(`f${i} answered ${text}`);
  }
  return times;
}

// the process's own warming up is another matter
await callAll(0, 50);
const cold = (await callAll(50, count)).sort();
const called = memory();
const warm = (await callAll(count - 200, count)).sort();
const result: ColdResult = {
  startMs,
  medianMs: quantile(cold, 0.5),
  p99Ms: quantile(cold, 0.99),
  warmMs: quantile(warm, 0.5),
  deployedKB: (deployed - before) / count / 1e3,
  calledKB: (called - before) / count / 1e3,
  rssMB: process.memoryUsage.rss() / 1e6,
};
console.log(JSON.stringify(result));
await edge.close();
process.exit();
