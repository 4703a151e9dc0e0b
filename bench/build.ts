import assert from "node:assert/strict";
import { bundle } from "../compiler/bundle.ts";
import { buildImage } from "../compiler/image.ts";
import type { ScriptInput } from "../compiler/index.ts";
import { echoInput, echoModule, echoOutput } from "./echo.ts";
import { measure, type Task } from "./measure.ts";
import type { Table } from "./table.ts";
import {
  artifactOf,
  bodyOf,
  compiler,
  engine,
  invoke,
  programOf,
  requestWith,
  runtime,
  sourcesOf,
} from "./thimble.ts";

/** Functions that differ, so that nothing can be kept from one for the next. */
const variants = 50;
const example = new URL("../examples/simple-function", import.meta.url).pathname;

/** What a deployment costs, and the first request after it. */
export async function run(): Promise<Table> {
  const request = requestWith(Buffer.from(echoInput));
  const modules = Array.from({ length: variants }, (_, i) => `${echoModule}\nexport const variant = ${i};\n`);
  const artifacts = await Promise.all(modules.map(artifactOf));
  for (const artifact of artifacts) {
    const result = await invoke(await runtime.load(artifact), request);
    assert.equal(Buffer.from(bodyOf(result)).toString(), echoOutput);
  }
  const bundled = (await bundle(example, "index.ts")).bundle;
  const sources = sourcesOf(modules[0]!);
  const given = { code: modules[0]!, map: "" };
  const build = async (input: Omit<ScriptInput, "requireAnnotation">) =>
    (await compiler.build({ ...input, requireAnnotation: false })).artifact;
  assert.deepEqual(await build({ sources, bundle: given }), await build({ sources, bundle: given }));

  let next = 0;
  const artifact = () => artifacts[next++ % variants]!;
  const program = await programOf(echoModule);
  const tasks: Task[] = [
    { name: "image of a bundle (part of a build)", run: () => buildImage(engine, given.code) },
    {
      name: "image of examples/simple-function (part of a build)",
      run: () => buildImage(engine, bundled.code),
    },
    { name: "build, bundle given", run: () => build({ sources, bundle: given }) },
    { name: "build with bundling", run: () => build({ sources }) },
    { name: "load an artefact", run: () => runtime.load(artifact()) },
    {
      name: "load an artefact and answer its first request",
      run: async () => invoke(await runtime.load(artifact()), request),
    },
    { name: "answer a later request", run: () => invoke(program, request) },
  ];
  const timings = await measure(tasks);
  return {
    title: "Build and first request: the JSON echo, in a process that is warm",
    columns: [
      { key: "median", label: "median ms", digits: 3 },
      { key: "p99", label: "p99 ms", digits: 3 },
    ],
    rows: timings.map(({ name, medianMs, p99Ms }) => ({ name, median: medianMs, p99: p99Ms })),
    notes: [`An artefact of the echo has ${Math.round(artifacts[0]!.length / 1024)} KiB.`],
  };
}
