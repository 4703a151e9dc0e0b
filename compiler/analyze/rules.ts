import type { RuleDescription } from "./rule.ts";

const NO_PROCESS = "A function cannot start processes; call a service over HTTP with fetch instead.";

/** Every rule by its id, which stays the same. docs/ANALYSIS.md is made of this. */
export const RULES = {
  "annotation-missing": {
    severity: "error",
    explanation:
      "The `@function` JSDoc tag says that a file is meant to be invoked from outside. Without it, any module could become an endpoint by mistake.",
    hint: "Put /** @function */ on the line above the entry.",
    example: {
      bad: "export default () => new Response();",
      good: "/** @function */\nexport default () => new Response();",
    },
  },
  "annotation-misplaced": {
    severity: "error",
    explanation:
      "There is a `@function`, but not in a JSDoc comment (`/** … */`) directly before the statement that is the entry, so it marks nothing.",
    hint: "Move it: /** @function */ on the line above the entry, outside of it.",
    example: {
      bad: "// @function\nexport default () => new Response();",
      good: "/** @function */\nexport default () => new Response();",
    },
  },
  "entry-missing": {
    severity: "error",
    explanation: "The entry file offers nothing that can be invoked.",
    hint: "Add an entry: export default { fetch(request) { … } }, export function handler(body) { … }, or export function GET(request) { … }.",
    example: {
      bad: "/** @function */\nexport const greet = () => 1;",
      good: "/** @function */\nexport const handler = () => 1;",
    },
  },
  "process-execution": {
    severity: "error",
    explanation:
      "Starting or signalling processes. A sandbox has no processes: the call could only throw, and its presence means the code expects another platform.",
    hint: NO_PROCESS,
    example: {
      bad: 'import { execFile } from "node:child_process";',
      good: 'await fetch("https://images.example.com/resize", { signal: AbortSignal.timeout(2000) });',
    },
  },
  "shell-command": {
    severity: "error",
    explanation: "Running shell commands, by Bun's shell or a package that is one.",
    hint: NO_PROCESS,
    example: { bad: 'import { $ } from "bun";', good: 'import { serve } from "bun";' },
  },
  "raw-socket": {
    severity: "error",
    explanation:
      "TCP, TLS and UDP sockets. Functions reach the network by HTTP only, where the platform checks each address.",
    hint: 'Use fetch, or import { sql } from "thimble:db" for the database.',
    example: { bad: 'import net from "node:net";', good: 'import { sql } from "thimble:db";' },
  },
  "native-code": {
    severity: "error",
    explanation:
      "Foreign functions, native addons and internal bindings: code outside of the sandbox's control, which it cannot load.",
    hint: "A function cannot load native code; use a JavaScript or WebAssembly package instead.",
    example: { bad: 'process.dlopen(module, "addon.node");', good: 'import { hash } from "bcryptjs";' },
  },
  "worker-thread": {
    severity: "error",
    explanation: "Workers and threads. A function runs in one thread, in which its limits are counted.",
    hint: "Handle more work in more invocations.",
    example: { bad: 'new Worker("./job.js");', good: "await Promise.all([1, 2].map(async (part) => part));" },
  },
  "dynamic-code": {
    severity: "error",
    explanation:
      "Code that is made at run time: `eval`, `Function` under any name and by the detours through constructors, string timers, `vm`, modules from `data:`. It could not be analysed, and no sandbox can compile code.",
    hint: "Write the code as a function; for data use JSON.parse, for templates a library that needs no eval.",
    example: { bad: 'new Function("a", "return a + 1");', good: "const next = (a) => a + 1;" },
  },
  "non-literal-import": {
    severity: "error",
    explanation: "A module whose name is computed can be neither analysed nor bundled.",
    hint: "Write the module's name as a string; to choose among several, map each choice to its own import.",
    example: {
      bad: "const load = (name) => import(name);",
      good: 'const load = { en: () => import("./en.ts") };',
    },
  },
  "file-access": {
    severity: "error",
    explanation:
      "A path that leads out of the function's own folder (and of `/tmp`), written down or put together from parts that are. A sandbox has no other files.",
    hint: "Keep the file in the function's folder and import it, or read it relative to import.meta.dirname.",
    example: {
      bad: 'import { readFileSync } from "node:fs";\nreadFileSync("/etc/hosts");',
      good: 'import { readFileSync } from "node:fs";\nreadFileSync("./words.txt");',
    },
  },
  "hard-coded-secret": {
    severity: "error",
    allowable: true,
    explanation:
      "Keys, tokens, private keys and connection strings with a password, by the formats that their issuers document, in code, comments and data; and random text under the name of a secret. Sources are stored and shown: what is in them is not secret any more.",
    hint: "Revoke it, keep the new one as a secret of the function, and read it from env in the handler.",
    example: {
      bad: 'const apiSecret = "q8Zt4WmX1rYv7LkP0sHd3NfBc6Ug";',
      good: "const secretOf = (env) => env.API_SECRET;",
    },
  },
  "sql-concatenation": {
    severity: "error",
    allowable: true,
    explanation:
      "SQL that is put together from text and values that are not constant. Whoever chooses a value can change what the statement does.",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is shown as it is
    hint: "Use the template sql`… ${value}`, or pass the values beside the text: sql.unsafe(text, [value]). Choose names of columns from a list of your own.",
    example: {
      bad: 'import { sql } from "thimble:db";\nconst find = (id) => sql.unsafe("select * from users where id = " + id);',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: this is code
      good: 'import { sql } from "thimble:db";\nconst find = (id) => sql`select * from users where id = ${id}`;',
    },
  },
  "prototype-pollution": {
    severity: "warning",
    allowable: true,
    explanation:
      "Writing to the prototype that all objects share, by name or by keys from outside (`__proto__` in a merge or a path). It changes objects that have nothing to do with it, until the request ends.",
    hint: 'Refuse the keys "__proto__", "constructor" and "prototype", use a Map, or Object.create(null).',
    example: {
      bad: "const set = (data) => { data.__proto__.admin = true; };",
      good: "const set = (data) => { data.admin = true; };",
    },
  },
  "unbounded-loop": {
    severity: "warning",
    allowable: true,
    explanation:
      "A loop that nothing in it can end and that awaits nothing runs until the function's time limit. Nothing else runs meanwhile, and the clock stands still.",
    hint: "Bound the number of rounds, or await something in each.",
    example: {
      bad: "const spin = () => { while (true) {} };",
      good: "const spin = () => { for (let round = 0; round < 10; round++) {} };",
    },
  },
  "fetch-timeout": {
    severity: "warning",
    allowable: true,
    explanation:
      "A fetch without a signal waits as long as the function may run, and the function cannot answer for itself then.",
    hint: "Pass { signal: AbortSignal.timeout(2000) }, less than the function's own limit.",
    example: {
      bad: 'const rates = () => fetch("https://api.example.com/rates");',
      good: 'const rates = () => fetch("https://api.example.com/rates", { signal: AbortSignal.timeout(2000) });',
    },
  },
  "allowance-unused": {
    severity: "warning",
    explanation:
      "A comment `thimble-allow` that allows nothing: it names no rule that can be allowed, gives no reason, or stands at a line without such a finding.",
    hint: "Write // thimble-allow <rule>: reason, at the end of the line of the finding or above it; or take the comment away.",
    example: {
      bad: "// thimble-allow unbounded-loop: ends by itself\nconst spin = () => { for (let round = 0; round < 10; round++) {} };",
      good: "// thimble-allow unbounded-loop: ended by the time limit, which this function measures\nconst spin = () => { while (true) {} };",
    },
  },
  "config-invalid": {
    severity: "error",
    explanation:
      "`export const config` is read from the source, never run: it must be an object of literal values under known names.",
    hint: "Write export const config = { … } with literal values only; it is read, never run.",
    example: {
      bad: "const limit = 250;\nexport const config = { timeoutMs: limit };",
      good: "export const config = { timeoutMs: 250 };",
    },
  },
  "config-limit": {
    severity: "error",
    explanation:
      "A limit in `config` beyond what the platform supports. Within that, the server lowers it to its own limits without a finding.",
    hint: "Choose a value within the range; a server may allow less.",
    example: {
      bad: "export const config = { timeoutMs: 60_000 };",
      good: "export const config = { timeoutMs: 5_000 };",
    },
  },
  "config-unused": {
    severity: "warning",
    explanation:
      "Configuration without effect: not exported, not in the entry file, or for something that the function never does.",
    hint: "Export it from the entry file, or leave it out.",
    example: {
      bad: "const config = { timeoutMs: 250 };",
      good: "export const config = { timeoutMs: 250 };",
    },
  },
  "syntax-error": {
    severity: "error",
    explanation: "The file cannot be parsed; nothing else in it was analysed.",
    hint: "Correct the syntax; nothing else in this file was analysed.",
    example: { bad: "const a = ;", good: "const a = 1;" },
  },
  "too-deep": {
    severity: "error",
    explanation: "Nesting that would overflow the stack of the parsers.",
    hint: "Split it up: name the inner parts, or build the value in a loop.",
    example: { bad: `const a = ${"[".repeat(300)}${"]".repeat(300)};`, good: "const a = [[]];" },
  },
  "too-large": {
    severity: "error",
    explanation: "A source or bundle of more than 5 MiB, or of more tokens than the parsers' memory allows.",
    hint: "Move data out of the source, or import only what is used.",
  },
} as const satisfies Record<string, RuleDescription>;

export type RuleId = keyof typeof RULES;
