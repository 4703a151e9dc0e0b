import assert from "node:assert/strict";
import type { ScriptProgram } from "../runtime/index.ts";
import { Instance } from "../runtime/instance.ts";
import { echoInput, echoModule, echoOutput, echoScript } from "./echo.ts";
import { measure, type Task } from "./measure.ts";
import { runInNewQuickJs } from "./quickjs-emscripten.ts";
import type { Row, Table } from "./table.ts";
import { bodyOf, engine, invoke, programOf, requestWith } from "./thimble.ts";
import { WarmSandbox } from "./warm-sandbox.ts";

/** What one request costs in process, what of it being pristine costs, and what others take for the same handler. */
export async function run(): Promise<Table> {
  const program = await programOf(echoModule);
  const body = Buffer.from(echoInput);
  const request = requestWith(body);
  const warm = new WarmSandbox(program);
  const thimble = "Thimble, pristine sandbox for each request";
  const contenders: Contender[] = [
    { name: thimble, answer: async () => textOf(bodyOf(await invoke(program, request))) },
    {
      name: "Thimble's sandbox, never reset (no isolation between requests)",
      answer: async () => textOf(await warm.request(request)),
    },
    {
      name: "quickjs-emscripten, new runtime and context for each request",
      answer: () => runInNewQuickJs(echoScript, echoInput),
    },
    ...(await isolatedVm()),
    { name: "no sandbox", answer: hostEcho },
  ];
  const notes = [
    `${body.length} bytes of JSON in, ${echoOutput.length} out; Thimble gets and gives HTTP heads as well.`,
  ];
  const usable = contenders.filter((contender): contender is Usable => {
    if ("answer" in contender) return true;
    notes.push(`Left out: ${contender.name}: ${contender.reason}`);
    return false;
  });
  for (const { name, answer } of usable) {
    // more than once: what a contender keeps between requests must not change its answer
    for (let i = 0; i < 3; i++) assert.equal(await answer(), echoOutput, name);
  }

  const tasks: Task[] = [...usable.map(({ name, answer }) => ({ name, run: answer })), restoring(program)];
  const timings = await measure(tasks);
  const ours = timings.find(({ name }) => name === thimble)!.medianMs;
  const rows: Row[] = timings.map(({ name, medianMs, p99Ms }) => ({
    name,
    median: medianMs * 1e3,
    p99: p99Ms * 1e3,
    ratio: medianMs / ours,
  }));
  return {
    title: "Invocation: a JSON echo in process",
    columns: [
      { key: "median", label: "median µs", digits: 1 },
      { key: "p99", label: "p99 µs", digits: 1 },
      { key: "ratio", label: "of Thimble's", digits: 2 },
    ],
    rows,
    notes,
  };
}

type Usable = { name: string; answer(): string | Promise<string> };
type Contender = Usable | { name: string; reason: string };

/** isolated-vm is native code, which not every machine and version of Node has a build for. */
async function isolatedVm(): Promise<Contender[]> {
  try {
    const { VmIsolate } = await import("./isolated-vm.ts");
    const isolate = new VmIsolate(echoScript);
    return [
      {
        name: "isolated-vm, new context for each request, blocking this thread",
        answer: () => isolate.runInNewContext(echoInput),
      },
      {
        name: "isolated-vm, new context for each request, on another thread",
        answer: () => isolate.runInNewContextAsync(echoInput),
      },
      {
        name: "isolated-vm, one context for all (no isolation), blocking this thread",
        answer: () => isolate.runInSharedContext(echoInput),
      },
      {
        name: "isolated-vm, one context for all (no isolation), on another thread",
        answer: () => isolate.runInSharedContextAsync(echoInput),
      },
    ];
  } catch (error) {
    return [{ name: "isolated-vm", reason: (error as Error).message }];
  }
}

function hostEcho(): string {
  return JSON.stringify({ echo: JSON.parse(echoInput) });
}

/** What makes a used instance pristine: after a request that wrote to as many cards as the echo does. */
function restoring(program: ScriptProgram): Task {
  const instance = new Instance(engine);
  instance.restore(program.image);
  const run = () => {
    for (let card = 0; card < 120; card++) instance.writable(1_000_000 + card * 5_000, 1);
    instance.restore(program.image);
  };
  return { name: "part: restore of 120 cards of 256 bytes, and marking them", run };
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
