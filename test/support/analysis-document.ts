import type { RuleDescription } from "../../compiler/analyze/rule.ts";
import { RULES, type RuleId } from "../../compiler/analyze/rules.ts";

// Prints docs/ANALYSIS.md: node test/support/analysis-document.ts > docs/ANALYSIS.md

const GROUPS: readonly [title: string, rules: readonly RuleId[]][] = [
  ["The entry", ["entry-missing", "annotation-missing", "annotation-misplaced"]],
  [
    "Blocked access",
    [
      "process-execution",
      "shell-command",
      "raw-socket",
      "native-code",
      "worker-thread",
      "dynamic-code",
      "non-literal-import",
      "file-access",
    ],
  ],
  [
    "Risks in the function's own code",
    [
      "hard-coded-secret",
      "sql-concatenation",
      "prototype-pollution",
      "unbounded-loop",
      "fetch-timeout",
      "allowance-unused",
    ],
  ],
  ["Configuration", ["config-invalid", "config-limit", "config-unused"]],
  ["What cannot be read", ["syntax-error", "too-deep", "too-large"]],
];

const HEAD = `# The rules of the analysis

Before a function is stored, its sources and its bundle are analysed on the syntax tree (swc). Nothing is executed. An error refuses the deployment
(422, with all findings); warnings are stored and shown. \`thimble build\` runs the same without a server.

Each finding has the rule's id, \`file:line:column\`, the source line, why, and how to mend it. Ids are stable. This page is made of the rules themselves:
\`node test/support/analysis-document.ts > docs/ANALYSIS.md\`; a test compares it and tries every example.

## What the source allows

A finding of the rules marked _can be allowed_ is let pass by a comment at the end of its line, or on a line of its own above it:

\`\`\`ts
// thimble-allow sql-concatenation: the column comes from the list above
const rows = await sql.unsafe("select " + column + " from users");
\`\`\`

The reason must be given. The finding stays in the report, as \`allowed\` and with the reason, and refuses nothing. A comment that allows nothing is a finding itself.
Blocked access, the entry, configuration and what cannot be read cannot be allowed, nor anything in packages.

## What it sees

- **Names are resolved**, scopes included: a local variable called \`eval\` is no finding, \`globalThis["ev" + "al"]\` is one.
- **Values are followed** as far as that is cheap: constants, concatenation, templates, \`join\`, \`reverse\`, \`slice\`, \`replace\`, \`String.fromCharCode\`,
  \`atob\`; aliases, destructuring, defaults, members of objects, arrays and classes, spread, \`Object.assign\`; arguments and results of the file's own functions;
  callbacks of \`map\`, \`reduce\`, \`then\`; \`call\`, \`apply\`, \`bind\`, \`Reflect\`, property descriptors, prototypes, \`Proxy\`; \`require\` under any name,
  \`createRequire\`, \`Module._load\`, \`process.mainModule\`, \`process.getBuiltinModule\`.
- **The bundle is analysed as a whole**, so names and values are followed from file to file, and packages are seen. Findings are led back to the
  sources by the source map.
- **Findings in packages** carry the package's name and are warnings, and only the rules of _blocked access_ look there: real packages carry code for other
  platforms that is never reached here, and it throws if it is.

## What it does not see

Names that come out of loops, of the request or of a list of all globals; values that are thrown and caught, or kept in the state of a closure or by
a constructor. That is no hole: the sandbox has no processes, sockets, threads, files of the host or compiler to reach. The test corpus
(\`test/fixtures/analysis\`) holds more than 200 bad functions; the tests run those that try a blocked access in a sandbox with the analysis switched off (all but a few whose
packages are not installed), and none gets anything.
Prototype pollution and unbounded loops are found by their usual patterns only; a function that mentions \`__proto__\` or \`hasOwn\` is taken to be guarded.

Of two batches of 30 disguises, each invented after the rules of its time, the first trial found 15 and 15. The ways behind most of the others were added then, so
that the corpus says nothing about the next batch; those that stay unseen are in it as \`runtime\`.

## Cost

A bundle of 1.02 MB (hono, zod, drizzle-orm with two dialects) takes 0.36 s of CPU, the median of nine in one process, of which the parser has about half; the first one in
a new process takes 0.45 s of time and 0.62 s of CPU, since V8 compiles beside it. Measured by \`process.cpuUsage\` on the 2-core development machine. Steps of data flow, branches, lists and texts are bounded, so that hostile
code costs seconds at most, in the builder's process.
`;

const TAIL = `
## From the build

Findings of the compiler's later steps: \`unresolved-import\`, \`missing-export\` and \`bundle-error\` (errors, code \`compile_failed\`); \`unsupported-module\` (a module that
a sandbox has not; using it throws), \`missing-module\` (an optional dependency that is not installed) and \`warmup-undone\` (warnings). A deployed WebAssembly
file has \`forbidden-import\` and \`module-invalid\`.
`;

export function analysisDocument(): string {
  return (
    HEAD + GROUPS.map(([title, rules]) => `\n## ${title}\n${rules.map(section).join("")}`).join("") + TAIL
  );
}

export const documentedRules = GROUPS.flatMap(([, rules]) => rules);

function section(id: RuleId): string {
  const { severity, allowable, explanation, hint, example }: RuleDescription = RULES[id];
  const code = (text: string) => `\`\`\`ts\n${text.length > 200 ? `${text.slice(0, 60)} …` : text}\n\`\`\`\n`;
  const examples = example ? `\n${code(example.bad)}\nInstead:\n\n${code(example.good)}` : "";
  return `\n### \`${id}\`\n\n_${severity}${allowable ? ", can be allowed" : ""}_ · ${explanation}\n\n${hint}\n${examples}`;
}

if (import.meta.main) process.stdout.write(analysisDocument());
