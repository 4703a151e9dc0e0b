import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { runNode } from "./child.ts";
import { installDependencies } from "./install.ts";
import { formatTable, type Table } from "./table.ts";

/**
 * `npm run bench [-- topic …] [--json]`: one table for each topic. Each topic runs in a process of its own, one after the other,
 * so that none is measured with the heap and the compiled code that another one left.
 */

const topics = [
  "database",
  "database-load",
  "database-chaos",
  "invocation",
  "build",
  "timeouts",
  "http",
  "waiting",
  "metering",
  "wasi",
  "edge",
  "neighbours",
  "cold",
];
/** These take long, and run when they are asked for. */
const endurance = ["overload", "soak"];

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => ![...topics, ...endurance].includes(name));
if (unknown.length > 0) {
  console.error(
    `There is no topic ${unknown.join(", ")}; there are: ${[...topics, ...endurance].join(", ")}`,
  );
  process.exit(2);
}

installDependencies();
const machine = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: availableParallelism(),
  platform: `${process.platform} ${process.arch}`,
  node: process.versions.node,
  v8: process.versions.v8,
};
if (!values.json) {
  const { cpu, cores, platform, node, v8 } = machine;
  console.log(`${cpu}, ${cores} cores, ${platform}, Node ${node}, V8 ${v8}`);
}

const tables: Table[] = [];
for (const topic of positionals.length > 0 ? positionals : topics) {
  if (!values.json) console.error(`\nmeasuring ${topic} …`);
  const load = loadavg()[0]!;
  const output = await runNode(["--expose-gc", "run-topic.ts", topic]);
  const table: Table = JSON.parse(output);
  table.notes.push(`Load of the machine before: ${load.toFixed(1)} (idle would be 0).`);
  tables.push(table);
  if (!values.json) console.log(formatTable(table));
}
if (values.json) console.log(JSON.stringify({ machine, tables }, null, 2));
