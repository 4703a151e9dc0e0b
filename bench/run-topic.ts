import type { Table } from "./table.ts";

/** One topic, in this process; its table goes to standard output as JSON, and nothing else does. */
console.log = console.error; // compilers print their progress there
const topic = process.argv[2];
const { run }: { run(): Promise<Table> } = await import(`./${topic}.ts`);
process.stdout.write(JSON.stringify(await run()));
